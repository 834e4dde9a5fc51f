"""report.md: for GitHub's job summary and check runs, which limit its size. What does not fit is cut by worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from kvm_action.report import gfm
from kvm_action.report.timeline import Row
from kvm_action.report.verdict import Verdict
from kvm_action.report.view import Report, report_view
from kvm_action.results import RunResult, StepOutcome
from kvm_action.signs import EMOJI, MARKS
from kvm_action.templating import render

_BAR_WIDTH: Final = 24
_NOTE_ROOM: Final = 400
Shorter = Callable[[Report], Report]


@dataclass(frozen=True)
class Section:
    """A part of the report: the worth of having it (1 first), and its text, from whole to shortest."""

    title: str
    worth: int
    texts: tuple[str, ...]


def markdown(result: RunResult, limit: int | None = None) -> str:
    """The report in at most ``limit`` bytes of UTF-8 (a check run takes 65,535 characters, a summary 1 MiB)."""
    view = report_view(result)
    return fit([_section(view, *about) for about in _SECTIONS], limit)


def headline(result: RunResult, limit: int | None = None) -> str:
    """The part that a reader in a hurry needs: the verdict, its evidence, and what does not hold."""
    view = report_view(result)
    return fit([_section(view, *about) for about in _SECTIONS if about[0] in _HEADLINE], limit)


def details(result: RunResult, limit: int | None = None) -> str:
    """All the rest."""
    view = report_view(result)
    return fit([_section(view, *about) for about in _SECTIONS if about[0] not in _HEADLINE], limit)


def fit(sections: Sequence[Section], limit: int | None) -> str:
    """``sections`` in their order, each as whole as fits when the worthiest choose first; says what was cut."""
    whole = "".join(section.texts[0] for section in sections)
    if limit is None or _size(whole) <= limit:
        return whole
    left = limit - _NOTE_ROOM
    chosen: dict[str, str] = {}
    for section in sorted(sections, key=lambda section: section.worth):
        text = next((text for text in section.texts if _size(text) <= left), "")
        chosen[section.title] = text
        left -= _size(text)
    cut = [section.title for section in sections if chosen[section.title] != section.texts[0]]
    note = f"_Cut to fit here: {', '.join(cut)}. report.html has all of it._\n"
    return "".join([*(chosen[section.title] for section in sections), note])


def _section(view: Report, template: str, title: str, worth: int, shorter: tuple[Shorter, ...]) -> Section:
    views = (view, *(make(view) for make in shorter))
    return Section(title, worth, tuple(_rendered(template, one) for one in views))


def _rendered(template: str, view: Report) -> str:
    values = {one.name: getattr(view, one.name) for one in fields(Report)}
    return render(f"markdown/{template}.md.j2", filters=_FILTERS, finalize=gfm.escape, **values)


def _evidence(lines: int, width: int) -> Shorter:
    def shorten(view: Report) -> Report:
        evidence = tuple(line[:width] for line in view.verdict.evidence[-lines:])
        return replace(view, verdict=replace(view.verdict, evidence=evidence))

    return shorten


def _bad_checks(most: int) -> Shorter:
    return lambda view: replace(view, checks=replace(view.checks, bad=view.checks.bad[:most]))


def _tail(lines: int) -> Shorter:
    return lambda view: replace(view, tail=view.tail[-lines:])


def _no_diffs(view: Report) -> Report:
    if view.second_run is None:
        return view
    changes = tuple(replace(change, diff="") for change in view.second_run.changes[:20])
    return replace(view, second_run=replace(view.second_run, changes=changes))


def _sign(verdict: Verdict) -> str:
    return EMOJI[verdict.outcome]


def _mark(outcome: str) -> gfm.Markdown:
    return gfm.Markdown(MARKS[outcome])


def _bar(row: Row) -> gfm.Markdown:
    """The row's span as 24 characters."""
    if row.outcome is StepOutcome.SKIPPED:
        return gfm.Markdown("")
    start = min(int(row.span.left * _BAR_WIDTH / 100), _BAR_WIDTH - 1)
    length = max(1, min(round(row.span.width * _BAR_WIDTH / 100), _BAR_WIDTH - start))
    return gfm.Markdown(f"`{'·' * start}{'█' * length}{'·' * (_BAR_WIDTH - start - length)}`")


def _diff(text: str) -> gfm.Markdown:
    return gfm.fence(text.split("\n"), "diff")


_FILTERS: Final[dict[str, Callable[..., object]]] = {
    "sign": _sign,
    "mark": _mark,
    "bar": _bar,
    "code": gfm.code,
    "prose": gfm.prose,
    "fence": gfm.fence,
    "diff": _diff,
}
_SECTIONS: Final[tuple[tuple[str, str, int, tuple[Shorter, ...]], ...]] = (
    ("verdict", "the evidence", 1, (_evidence(10, 300), _evidence(3, 150))),
    ("sections", "the groups of checks", 2, ()),
    ("failed_checks", "failed checks", 2, (_bad_checks(50), _bad_checks(10), _bad_checks(3))),
    ("timeline", "the timeline", 4, ()),
    ("other_checks", "other checks", 6, ()),
    ("tail", "the script's output", 3, (_tail(50), _tail(15))),
    ("second_run", "the second run", 5, (_no_diffs,)),
    ("snapshots", "snapshots", 9, ()),
    ("command", "the command", 7, ()),
    ("files", "files", 10, ()),
    ("facts", "what it ran on", 8, ()),
)


_HEADLINE: Final = ("verdict", "sections", "failed_checks")


def _size(text: str) -> int:
    return len(text.encode())
