"""What a chart shows, as plain values; drawing it is the browser's. Every chart has its data as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kvm_action.history.record import Record
from kvm_action.pages.links import run_page


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series of a chart. ``low``/``high``: the interval of each value, where there is one."""

    name: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """``kind``: ``line`` (over time) or ``bars``. ``links``: a page for each label, or none."""

    kind: str
    title: str
    unit: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    links: tuple[str, ...] = ()

    @property
    def spec(self) -> list[dict[str, object]]:
        """The lines as plain values."""
        return [asdict(line) for line in self.lines]


def trend(title: str, records: Sequence[Record]) -> Chart:
    """Total and start time of runs, in their order."""
    return Chart(
        kind="line",
        title=title,
        unit="s",
        labels=tuple(f"{record.started_at:%Y-%m-%d %H:%M}" for record in records),
        lines=(
            Line(name="Total", values=tuple(record.seconds for record in records)),
            Line(name="Until the machine can be used", values=tuple(record.start_seconds for record in records)),
            Line(name="The script", values=tuple(record.measures.get("provision_seconds") for record in records)),
        ),
        links=tuple(run_page(record) for record in records),
    )
