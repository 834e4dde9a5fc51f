"""The comparison table: what the same plan costs on each backend, with spread, interval, and number of samples.

Only runs on the same machine and image stand side by side, and each column holds one series: one backend, one
accel, one start mode, one fingerprint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kvm_action.bench.statistics import Comparison, Summary, compare, summarise
from kvm_action.history.record import Record
from kvm_action.history.series import METRICS, Metric, SeriesKey, by_series
from kvm_action.pages.charts import Chart, Line

MOST_SAMPLES: Final = 30
"""The newest of a series: older ones measured an older script."""
MOST_GROUPS: Final = 40
_LARGE: Final = frozenset({"Total", "Provisioning"})
_MILESTONES: Final = {
    "kernel": "Kernel",
    "userspace": "Userspace",
    "network": "Network",
    "port_open": "Port open",
    "ssh_authenticated": "SSH session",
    "cloud_init_done": "cloud-init done",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A series: how its runs were made, and how many there are."""

    key: SeriesKey
    title: str
    samples: tuple[Record, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A figure of a series; ``against`` compares it with the first column's."""

    summary: Summary | None
    against: Comparison | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A metric in all columns."""

    title: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """A plan on an image on a machine: the table and its charts."""

    plan: str
    image: str
    machine: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    boot: tuple[Row, ...]
    charts: tuple[Chart, ...]


def groups(records: Sequence[Record]) -> tuple[Group, ...]:
    """The comparisons that the green runs allow, those with the newest runs first."""
    found: dict[tuple[str, str, str], dict[SeriesKey, list[Record]]] = {}
    for key, series in by_series(record for record in records if record.is_green).items():
        found.setdefault((key.plan, key.image, key.machine), {})[key] = series
    newest_first = sorted(
        found.items(), key=lambda item: max(s[-1].started_at for s in item[1].values()), reverse=True
    )
    return tuple(_group(*names, series) for names, series in newest_first[:MOST_GROUPS])


def _group(plan: str, image: str, machine: str, series: dict[SeriesKey, list[Record]]) -> Group:
    order = sorted(series, key=lambda key: (key.backend != "kvm", key.backend, key.accel, key.start_mode))
    columns = tuple(
        Column(key=key, title=_title(key, order), samples=tuple(series[key][-MOST_SAMPLES:])) for key in order
    )
    rows = tuple(row for metric in METRICS if (row := _row(metric, columns)))
    return Group(
        plan=plan,
        image=image,
        machine=machine,
        columns=columns,
        rows=rows,
        boot=_boot(columns),
        charts=_charts(columns, rows),
    )


def _title(key: SeriesKey, others: Sequence[SeriesKey]) -> str:
    how = ", ".join(word for word in (key.accel, key.start_mode) if word and word != "none")
    title = f"{key.backend} ({how})" if how else key.backend
    same = [
        one
        for one in others
        if (one.backend, one.accel, one.start_mode) == (key.backend, key.accel, key.start_mode)
    ]
    return f"{title}, host {key.fingerprint}" if len(same) > 1 else title


def _row(metric: Metric, columns: Sequence[Column]) -> Row | None:
    values = [[value for run in column.samples if (value := metric.value(run)) is not None] for column in columns]
    if not any(values):
        return None
    cells = []
    for at, samples in enumerate(values):
        comparison = (
            compare(values[0], samples, least_difference=metric.least) if at and values[0] and samples else None
        )
        summary = comparison.second if comparison else summarise(samples) if samples else None
        cells.append(Cell(summary=summary, against=comparison))
    return Row(title=metric.title, unit=metric.unit, cells=tuple(cells))


def _boot(columns: Sequence[Column]) -> tuple[Row, ...]:
    rows = []
    for name, title in _MILESTONES.items():
        values = [[run.milestones[name] for run in column.samples if name in run.milestones] for column in columns]
        if any(values):
            cells = tuple(Cell(summary=summarise(samples) if samples else None) for samples in values)
            rows.append(Row(title=title, unit="s", cells=cells))
    return tuple(rows)


def _charts(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Two: what takes as long as the script does would make the rest too small to be seen."""
    timed = [row for row in rows if row.unit == "s"]
    large = [row for row in timed if row.title in _LARGE]
    small = [row for row in timed if row.title not in _LARGE]
    titles = ("The whole run and the script", "What the test itself takes")
    return tuple(_chart(title, columns, some) for title, some in zip(titles, (large, small), strict=True) if some)


def _chart(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Chart:
    return Chart(
        kind="bars",
        title=f"{title}: median, with its interval",
        unit="s",
        labels=tuple(row.title for row in rows),
        lines=tuple(
            _line(column.title, [row.cells[at].summary for row in rows]) for at, column in enumerate(columns)
        ),
    )


def _line(name: str, summaries: Sequence[Summary | None]) -> Line:
    return Line(
        name=name,
        values=tuple(one.median if one else None for one in summaries),
        low=tuple(one.low if one else None for one in summaries),
        high=tuple(one.high if one else None for one in summaries),
    )
