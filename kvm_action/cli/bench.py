"""`kvm-e2e bench`: a plan on several backends, several times, compared."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import click
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from kvm_action.bench import document
from kvm_action.bench.measure import Measuring, Told, Turn
from kvm_action.bench.samples import Bench
from kvm_action.bench.table import table_of
from kvm_action.cli.options import DURATION, choice
from kvm_action.cli.run import Options, output_folder, run_plan
from kvm_action.cli.terminal.stream import unbreakable
from kvm_action.errors import ExitCode, PlanError
from kvm_action.events import Event
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Accel, BackendName, Keep, StartMode
from kvm_action.report.comparison import comparison_markdown, cost, hosts
from kvm_action.results import Outcome, RunResult
from kvm_action.runs import new_run_id
from kvm_action.text import plain_line
from kvm_action.units import format_seconds
from kvm_action.whole_file import ANOTHER_OUT, write_whole

_WIDE = 150


@click.command(name="bench")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--runs", type=click.IntRange(1, 1000), help="Measured runs on each; overrides benchmark.runs.")
@click.option(
    "--warmups", type=click.IntRange(0, 100), default=1, show_default=True, help="Runs before, not counted."
)
@click.option(
    "--backend",
    "backends",
    type=choice(BackendName),
    multiple=True,
    help="May be given twice; overrides the plan.",
)
@click.option("--accel", type=choice(Accel), default="auto", show_default=True, help="KVM, or emulation.")
@click.option("--start", type=choice(StartMode), default="auto", show_default=True, help="How to start a machine.")
@click.option("--image", help="Base image; overrides machine.image.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder  [default: kvm-e2e-results/bench-ID]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as machine.memory=8GiB."
)
@click.option("--timeout", type=DURATION, help="Limit of each run, as 30m.")
@click.option("--json", "as_json", is_flag=True, help="Print bench.json to standard output.")
def command(plan: Path, overrides: tuple[str, ...], **chosen: object) -> int:
    """Run PLAN on each backend in turn, and compare time, memory and disk.

    Warm-ups come first; then every round has one run of each backend, in the other order than the round before.
    """
    loaded = load_plan(plan, overrides)
    id_ = new_run_id(datetime.now(UTC))
    wanted = chosen["out"]
    out = output_folder(wanted if isinstance(wanted, Path) else Path("kvm-e2e-results") / f"bench-{id_}")
    if (out / "bench.json").exists() or (out / "samples").exists():
        raise PlanError(f"{out} holds another bench", "choose another --out, or remove it")
    stream = sys.stderr if chosen["as_json"] else sys.stdout
    bench = _measure(loaded, id_, out, chosen, stream)
    save(bench, out)
    show(bench, stream)
    click.echo(f"samples and tables: {out}", file=stream)
    if chosen["as_json"]:
        click.echo(document.to_json(bench), nl=False, file=unbreakable(sys.stdout))
    return exit_code(bench)


def _measure(loaded: LoadedPlan, id_: str, out: Path, chosen: dict[str, object], stream: TextIO) -> Bench:
    def run(backend: str, folder: Path) -> RunResult:
        return run_plan(loaded, _options(chosen, backend, folder), told=_nobody)

    benchmark = loaded.plan.benchmark
    names, runs = chosen["backends"], chosen["runs"]
    backends = [str(name) for name in names] if isinstance(names, tuple) and names else list(benchmark.backends)
    measuring = Measuring(loaded=loaded, out=out, run=run, told=_told(stream))
    return measuring.measure(
        id_,
        tuple(dict.fromkeys(backends)),
        runs if isinstance(runs, int) else benchmark.runs,
        int(str(chosen["warmups"])),
    )


def _options(chosen: dict[str, object], backend: str, folder: Path) -> Options:
    timeout = chosen["timeout"]
    return Options(
        image=str(chosen["image"]) if chosen["image"] else None,
        backend=BackendName(backend),
        accel=Accel(str(chosen["accel"])),
        start=StartMode(str(chosen["start"])),
        out=folder,
        keep=Keep.NEVER,
        timeout=timeout if isinstance(timeout, timedelta) else None,
        as_json=False,
    )


def _nobody(_event: Event) -> None:
    """The steps of a sample are told to its events.jsonl only."""


def _told(stream: TextIO) -> Told:
    def begins(number: int, of: int, turn: Turn) -> None:
        click.echo(
            f"[{number}/{of}] {turn.backend}{' (warm-up)' if turn.warmup else ''} ... ", nl=False, file=stream
        )

    def ended(_turn: Turn, result: RunResult | None) -> None:
        if result is None:
            click.echo("could not be started", file=stream)
            return
        why = f": {plain_line(result.failure.message)}" if result.failure else ""
        click.echo(f"{result.outcome} after {format_seconds(result.seconds)}{why}", file=stream)

    return Told(begins=begins, ended=ended)


def save(bench: Bench, out: Path) -> None:
    """All documents of a bench."""
    write_whole(out / "bench.json", document.to_json(bench), ANOTHER_OUT)
    write_whole(out / "bench.csv", document.to_csv(bench), ANOTHER_OUT)
    write_whole(out / "bench.md", comparison_markdown(bench), ANOTHER_OUT)
    write_whole(out / "github-action-benchmark.json", document.to_smaller_is_better(bench), ANOTHER_OUT)


def show(bench: Bench, stream: TextIO) -> None:
    """The table, for people."""
    console = Console(file=stream, width=None if stream.isatty() else _WIDE, markup=False, highlight=False)
    table = table_of(bench)
    if bench.series:
        drawn = RichTable(*table.headings, box=box.SIMPLE_HEAD)
        for line in table.lines:
            drawn.add_row(*line)
        console.print(drawn)
    for note in (*table.notes, *hosts(bench), cost(bench)):
        console.print(plain_line(note, 1000), soft_wrap=True)


def exit_code(bench: Bench) -> int:
    """0 when every backend was measured and every run passed, else that of the first that was not."""
    if bench.samples and bench.samples[-1].result.outcome is Outcome.INTERRUPTED:
        return bench.samples[-1].result.exit_code
    if bench.missing:
        return bench.missing[0].exit_code
    bad = [each for each in bench.samples if each.result.outcome is not Outcome.PASSED]
    return bad[0].result.exit_code if bad else ExitCode.PASSED
