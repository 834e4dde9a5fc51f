"""What is known of each run: how it went, and what stood there right after it. Kept as CSV."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What there is at a moment; None for what cannot be seen on this host. Bytes, or numbers of things."""

    libvirt_rss: int | None
    libvirt_descriptors: int | None
    own_rss: int
    own_descriptors: int
    home_files: int
    home_bytes: int
    run_folders: int
    shared_memory: int
    machines: int
    domains: int
    logs: int


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run. ``start``: the mode; ``reason``: why it was not the template, or why it failed."""

    seconds: float
    outcome: str
    start: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A run of a phase. ``at``: seconds since the soak began."""

    phase: str
    number: int
    at: float
    ran: Ran
    after: Footprint

    @property
    def is_good(self) -> bool:
        """Did it pass, from a template?"""
        return (self.ran.outcome, self.ran.start) == ("passed", "template")

    def row(self) -> dict[str, object]:
        """As one flat line."""
        own = {"phase": self.phase, "number": self.number, "at": round(self.at, 1)}
        return {**own, **asdict(self.ran), **asdict(self.after)}


def write_csv(samples: Sequence[Sample], path: Path) -> None:
    """All of them, in the order in which the runs ended."""
    names = [field.name for part in (Ran, Footprint) for field in fields(part)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["phase", "number", "at", *names])
        writer.writeheader()
        writer.writerows(sample.row() for sample in samples)
