"""`python -m benchmarks.soak`: runs in a row, in one process, side by side. Exits 1 when one fails or it grows."""

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.soak.footprint import Watch
from benchmarks.soak.page import write_page
from benchmarks.soak.phases import Soak
from benchmarks.soak.samples import write_csv
from benchmarks.soak.verdict import complaints, table
from benchmarks.workshop import REPOSITORY
from kvm_action.hypervisor.connection import open_connection
from kvm_action.paths import Home

HELLO: Final = REPOSITORY / "examples/hello/plan.yml"
KEPT: Final = REPOSITORY / "build/soak"


def main() -> int:
    """All phases; what was measured is kept however they end."""
    asked = arguments()
    KEPT.mkdir(parents=True, exist_ok=True)
    with open_connection() as connection:
        soak = Soak(asked.plan, asked.image, Watch(Home.from_environ(), connection), say)
        try:
            soak.warm_up()
            soak.in_a_row(asked.runs)
            soak.in_one_process(asked.runs_here or max(1, asked.runs // 4))
            soak.side_by_side(asked.many, timedelta(minutes=asked.minutes))
        finally:
            write_csv(soak.samples, KEPT / "samples.csv")
            write_page(soak.samples, KEPT / "index.html")
        bad = complaints(soak.samples, soak.watch.look())
    Console(width=None if sys.stdout.isatty() else 150).print(table(soak.samples))
    print(f"plots: {KEPT / 'index.html'}, all samples: {KEPT / 'samples.csv'}", *bad, sep="\n")
    return int(bool(bad))


def arguments() -> argparse.Namespace:
    """How many, and how long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="in a row, each in a process of its own")
    parser.add_argument("--runs-here", type=int, help="in one process  [default: a quarter of --runs]")
    parser.add_argument("--minutes", type=float, default=15, help="for runs side by side")
    parser.add_argument("--many", type=int, default=8, help="how many side by side")
    parser.add_argument("--plan", type=Path, default=HELLO, help="for those that are not side by side")
    parser.add_argument("--image", default=os.environ.get("IMAGE", "debian-13"), help="base image of all runs")
    return parser.parse_args()


def say(line: str) -> None:
    """Progress goes to standard error; the table is the output."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
