"""Readings as a table for people and as JSON to keep."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.reading import Reading, Unmeasured, Verdict
from kvm_action import __version__
from kvm_action.results import HostInfo
from kvm_action.units import format_size

STYLES = {Verdict.MET: "green", Verdict.MISSED: "bold red", Verdict.NONE: ""}


def show(readings: Sequence[Reading], unmeasured: Sequence[Unmeasured], host: HostInfo, console: Console) -> None:
    """The host, the table, what exactly each row timed, and what could not be measured."""
    console.print(
        f"host {host.fingerprint}: {host.cpus} x {host.cpu}, {format_size(host.memory_bytes)}, {host.os}, "
        f"{host.kernel}, {host.hypervisor}, {host.libvirt}"
    )
    table = Table("what", "median", "range", "n", "beside it", "median", "ratio", "of pairs", "target", "")
    for reading in readings:
        table.add_row(*cells(reading), style=STYLES[reading.verdict])
    console.print(table)
    for reading in readings:
        console.print(f"{reading.name}: {reading.includes}")
    for row in unmeasured:
        console.print(f"{row.name}: not measured: {row.reason}")


def cells(reading: Reading) -> tuple[str, ...]:
    """One line."""
    return (
        reading.name,
        f"{reading.median:.3g} {reading.unit}",
        span(reading.ours),
        str(len(reading.ours)),
        reading.against or "-",
        f"{reading.baseline:.3g} {reading.unit}" if reading.baseline else "-",
        f"{reading.ratio:.2f}" if reading.ratio else "-",
        span(reading.ratios),
        target(reading),
        reading.verdict,
    )


def span(samples: Sequence[float]) -> str:
    """The smallest and the largest."""
    return f"{min(samples):.3g}-{max(samples):.3g}" if samples else "-"


def target(reading: Reading) -> str:
    """What was promised."""
    promised = []
    if reading.at_most is not None:
        promised.append(f"<= {reading.at_most:g} {reading.unit}")
    if reading.ratio_at_most is not None:
        promised.append(f"ratio <= {reading.ratio_at_most:g}")
    return ", ".join(promised) or "-"


def keep(readings: Sequence[Reading], unmeasured: Sequence[Unmeasured], host: HostInfo, folder: Path) -> Path:
    """Write all samples to a file of this moment's own; returns it."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%d-%H%M%S}.json"
    content = {
        "at": now.isoformat(timespec="seconds"),
        "tool_version": __version__,
        "host": asdict(host),
        "readings": [
            {**asdict(reading), "median": reading.median, "ratio": reading.ratio, "verdict": reading.verdict}
            for reading in readings
        ],
        "unmeasured": [asdict(row) for row in unmeasured],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
