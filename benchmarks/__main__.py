"""`python -m benchmarks [ROW...]`: measure rows, print the table, keep the samples. Exits 1 on a missed target."""

import argparse
import sys
import tempfile
from pathlib import Path
from subprocess import SubprocessError

from rich.console import Console

from benchmarks.reading import CannotMeasure, Reading, Unmeasured, Verdict
from benchmarks.rows import LONG_ROWS, ROWS, Row
from benchmarks.table import keep, show
from benchmarks.workshop import REPOSITORY, Workshop
from kvm_action import accel
from kvm_action.errors import E2EError
from kvm_action.host import host_info
from kvm_action.hypervisor.connection import open_connection
from kvm_action.plan.model import Accel
from kvm_action.results import HostInfo

KEPT = REPOSITORY / "benchmarks/results"


def main() -> int:
    """Every row that was named, else all but the long ones."""
    every = {**ROWS, **LONG_ROWS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of: {', '.join(every)}")
    parser.add_argument("--samples", type=int, help="how many to take in each row, instead of its own number")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(every):
        parser.error(f"no row named {', '.join(sorted(unknown))}; there are: {', '.join(every)}")
    chosen = {name: every[name] for name in asked.rows or ROWS}
    readings, unmeasured = take(chosen, asked.samples)
    host = this_host()
    show(readings, unmeasured, host, Console(width=None if sys.stdout.isatty() else 180))
    print(f"all samples: {keep(readings, unmeasured, host, KEPT)}")
    return int(any(reading.verdict is Verdict.MISSED for reading in readings))


def take(rows: dict[str, Row], samples: int | None) -> tuple[list[Reading], list[Unmeasured]]:
    """Measure one row after the other; one that fails does not lose the others' figures."""
    readings: list[Reading] = []
    unmeasured: list[Unmeasured] = []
    for name, measure in rows.items():
        say(f"{name} ...")
        with tempfile.TemporaryDirectory(prefix="kvm-e2e-bench-", dir="/var/tmp") as folder:
            try:
                readings += measure(Workshop(Path(folder), say, samples))
            except (CannotMeasure, RuntimeError, OSError, SubprocessError, E2EError) as error:
                say(f"  {error}")
                unmeasured.append(Unmeasured(name, str(error)))
    return readings, unmeasured


def this_host() -> HostInfo:
    """The fingerprint that results carry too."""
    with open_connection() as connection:
        return host_info(
            libvirt=connection.libvirt_version,
            hypervisor=connection.hypervisor_version,
            accel=accel.choose(Accel.AUTO).name,
        )


def say(line: str) -> None:
    """Progress goes to standard error; the table is the output."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
