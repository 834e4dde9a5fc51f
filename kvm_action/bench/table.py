"""The comparison as cells of text, for the terminal and for Markdown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf

from kvm_action.bench.rows import ROWS, Row, Unit
from kvm_action.bench.samples import Bench, Contrast, Series, contrasts
from kvm_action.bench.statistics import CONFIDENCE, Comparison, Summary, Verdict
from kvm_action.units import format_seconds, format_size

LEGEND = (
    "median ± spread (MAD) [bootstrap interval of the median, 95 % sure unless it says less]; differences by a "
    "permutation test at 1 %, 5 % at the least"
)


@dataclass(frozen=True)
class Table:
    """Headings and lines of equal length; ``notes`` say what the figures are."""

    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def table_of(bench: Bench) -> Table:
    """The whole comparison."""
    series = bench.series
    found = contrasts(series)
    pairs = list(dict.fromkeys((each.first, each.second) for each in found))
    return Table(
        headings=(
            "",
            *(f"{each.kind}, n = {each.count}" for each in series),
            *(f"{second} against {first}" for first, second in pairs),
        ),
        lines=tuple(
            (
                row.title,
                *(_cell(row, each) for each in series),
                *(_difference(row, pair, found) for pair in pairs),
            )
            for row in ROWS
            if any(row.key in each.values for each in series)
        ),
        notes=(LEGEND, *_notes(series), *_missing(bench), *_left_out(bench)),
    )


def amount(row: Row, value: float) -> str:
    """A value in its unit."""
    return format_size(round(value)) if row.unit is Unit.BYTES else format_seconds(value)


def _cell(row: Row, series: Series) -> str:
    summary = series.summary(row.key)
    if summary is None:
        return "–"
    few = f", n = {summary.count}" if summary.count != series.count else ""
    return f"{amount(row, summary.median)} {_spread(row, summary)}{few}"


def _spread(row: Row, summary: Summary) -> str:
    if summary.count == 1:
        return "(one sample)"
    low, high = amount(row, summary.low), amount(row, summary.high)
    less = "" if summary.confidence >= CONFIDENCE else f", {100 * summary.confidence:.0f} %"
    return f"± {amount(row, summary.mad)} [{low} … {high}{less}]"


def _difference(row: Row, pair: tuple[object, object], found: Sequence[Contrast]) -> str:
    comparison = next((c.comparison for c in found if c.row == row.key and (c.first, c.second) == pair), None)
    return verdict_words(comparison) if comparison else "–"


def verdict_words(comparison: Comparison) -> str:
    """How the second series differs, as far as the samples tell."""
    change = change_words(comparison.change)
    chance = f"p = {comparison.p_value:.3f}" if comparison.p_value >= 0.001 else "p < 0.001"
    match comparison.verdict:
        case Verdict.TOO_FEW:
            return f"{change}, too few samples to be sure"
        case Verdict.ALIKE:
            return f"no difference shown ({chance})"
        case _:
            return f"{change} ({chance})"


def change_words(change: float) -> str:
    """A change against the first median: ``-92%``, ``+40%``, ``12 times``."""
    if isinf(change):
        return "from nothing to something"
    return f"{change:+.0%}" if change < 10 else f"{change + 1:.0f} times"


def _notes(series: Sequence[Series]) -> list[str]:
    notes = []
    for row in ROWS:
        told = [
            f"{each.kind.backend}: {row.says[each.kind.backend]}"
            for each in series
            if row.key in each.values and each.kind.backend in row.says
        ]
        if told or ("" in row.says and any(row.key in each.values for each in series)):
            notes.append(f"{row.title}: {'; '.join(dict.fromkeys(told)) or row.says['']}")
    return list(dict.fromkeys(note for note in notes if not note.startswith("Boot: "))) + _boot_note(series)


def _boot_note(series: Sequence[Series]) -> list[str]:
    booted = any(key.startswith("milestone_") for each in series for key in each.values)
    return [
        "Boot: seconds since the machine's start; a container has no firmware and no kernel of its own"
    ] * booted


def _missing(bench: Bench) -> list[str]:
    return [
        f"{each.backend} was not measured to the end: {each.reason}" + (f" ({each.hint})" if each.hint else "")
        for each in bench.missing
    ]


def _left_out(bench: Bench) -> list[str]:
    bad = [each for each in bench.samples if not each.warmup and not each.counts]
    return [f"left out, because they did not pass: {', '.join(each.folder for each in bad)}"] if bad else []
