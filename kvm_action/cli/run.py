"""`kvm-e2e run`: wires a plan, a backend, the terminal and the reports together."""

import re
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from kvm_action import lifecycle, result_file
from kvm_action.backends.kvm import KvmBackend
from kvm_action.backends.settings import Settings
from kvm_action.cli.options import DURATION, choice
from kvm_action.cli.terminal import terminal_sink
from kvm_action.cli.terminal.stream import unbreakable
from kvm_action.errors import HostError, PlanError
from kvm_action.events import Sink, tee
from kvm_action.events_file import events_file
from kvm_action.guest import Backend
from kvm_action.images.store import Store
from kvm_action.interruption import interruptible
from kvm_action.lifecycle.files import OF_A_RUN, TOLD_ELSEWHERE, remove_what_a_killed_run_left
from kvm_action.paths import Home
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Accel, BackendName, Keep, StartMode
from kvm_action.report import write_reports
from kvm_action.results import RunResult
from kvm_action.runs import new_run_id
from kvm_action.shortage import require_descriptors
from kvm_action.text import plain_line

_HALF_WRITTEN: Final = re.compile(r"\.(.+)\.[0-9]+")
"""What `whole_file` calls a file until it is whole."""
_NAMED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options, parsed."""

    image: str | None
    backend: BackendName
    accel: Accel
    start: StartMode
    out: Path | None
    keep: Keep | None
    timeout: timedelta | None
    as_json: bool
    privileged: bool = False


@click.command(name="run")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--backend", type=choice(BackendName), default="kvm", show_default=True, help="What makes the machine."
)
@click.option("--accel", type=choice(Accel), default="auto", show_default=True, help="KVM, or emulation.")
@click.option(
    "--start", type=choice(StartMode), default="auto", show_default=True, help="How to start the machine."
)
@click.option("--image", help="Base image: a name in the store or a file; overrides machine.image.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder  [default: kvm-e2e-results/RUN]")
@click.option("--keep", type=choice(Keep), help="Leave the machine running afterwards; overrides the plan's keep.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as machine.memory=8GiB."
)
@click.option("--privileged", is_flag=True, help="With --backend docker: give the container all of root's powers.")
@click.option("--timeout", type=DURATION, help="Limit of all steps together, such as 30m.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print result.json to standard output; progress goes to stderr."
)
def command(plan: Path, overrides: tuple[str, ...], **chosen: object) -> int:
    """Run PLAN: boot a machine, run the script in it, check the result, report, and clean up."""
    options = _options(chosen)
    loaded = load_plan(plan, overrides)
    result = run_plan(loaded, options)
    if options.as_json:
        click.echo(result_file.dumps(result), nl=False, file=unbreakable(sys.stdout))
    return result.exit_code


def _options(chosen: dict[str, object]) -> Options:
    out, keep, timeout = chosen["out"], chosen["keep"], chosen["timeout"]
    return Options(
        image=str(chosen["image"]) if chosen["image"] else None,
        backend=BackendName(str(chosen["backend"])),
        accel=Accel(str(chosen["accel"])),
        start=StartMode(str(chosen["start"])),
        out=out if isinstance(out, Path) else None,
        keep=Keep(str(keep)) if keep else None,
        timeout=timeout if isinstance(timeout, timedelta) else None,
        as_json=bool(chosen["as_json"]),
        privileged=bool(chosen["privileged"]),
    )


def run_plan(loaded: LoadedPlan, options: Options, told: Sink | None = None) -> RunResult:
    """Run a loaded plan with the terminal (or ``told``), the event log and the reports attached."""
    require_descriptors()
    run_id = new_run_id(datetime.now(UTC))
    out = output_folder(options.out or Path("kvm-e2e-results") / run_id)
    require_only_a_runs(out)
    keep = options.keep or loaded.plan.keep
    stream = sys.stderr if options.as_json else sys.stdout
    events = out / "events.jsonl"
    began_before = events.exists()
    with interruptible() as interruption, ExitStack() as stack:
        written = stack.enter_context(events_file(events, lambda text: click.echo(f"warning: {text}", err=True)))
        if began_before:
            remove_what_a_killed_run_left(out)
        sink = tee(
            written,
            told or stack.enter_context(terminal_sink(stream, is_terminal=stream.isatty())),
        )
        using = lifecycle.Collaborators(
            sink=sink,
            report=write_all,
            keep=keep,
            limit=options.timeout,
            undisturbed=interruption.held,
            interrupted=lambda: interruption.error,
        )
        return lifecycle.run(run_id, loaded, _backend(loaded, options, run_id, out, sink), out, using)


def _backend(loaded: LoadedPlan, options: Options, run_id: str, out: Path, sink: Sink) -> Backend:
    if options.backend is BackendName.DOCKER:
        return _container_backend(loaded, options, run_id, out, sink)
    home = Home.from_environ()
    settings = Settings(
        run=run_id,
        image=options.image or loaded.plan.machine.image,
        accel=options.accel,
        keep=options.keep or loaded.plan.keep,
        store=Store(home.images),
        runs=home.runs,
        templates=home.templates,
        start=options.start,
        out=out,
    )
    return KvmBackend(loaded.plan, settings, sink)


def _container_backend(loaded: LoadedPlan, options: Options, run_id: str, out: Path, sink: Sink) -> Backend:
    container = import_module("kvm_action.cli.container")
    wanted = container.Wanted(
        run=run_id,
        image=options.image or loaded.plan.machine.image,
        keep=options.keep or loaded.plan.keep,
        out=out,
        privileged=options.privileged,
    )
    backend: Backend = container.backend(loaded, wanted, sink)
    return backend


def output_folder(path: Path) -> Path:
    """Make the output folder. Raises HostError when that cannot be, PlanError when it holds another result."""
    if (path / "result.json").exists():
        raise PlanError(f"{path} holds the result of another run", "choose another --out, or remove it")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"cannot make the output folder {path}: {error.strerror}", "choose another --out"
        ) from error
    return path.absolute()


def require_only_a_runs(out: Path) -> None:
    """Whatever is in the folder is told, and uploaded, as the run's. Raises PlanError when it is another's."""
    try:
        there = {path.name for path in out.iterdir()} - {"lost+found"}
    except OSError as error:
        raise HostError(
            f"cannot read the output folder {out}: {error.strerror}", "choose another --out"
        ) from error
    foreign = sorted(name for name in there if not ("events.jsonl" in there and _is_a_runs(name)))
    if foreign:
        named = ", ".join(plain_line(name, 60) for name in foreign[:_NAMED]) + ("…" if foreign[_NAMED:] else "")
        raise PlanError(
            f"the output folder {out} has other files in it, which would be taken for the run's: {named}",
            "choose a folder for --out that is new or empty",
        )


def _is_a_runs(name: str) -> bool:
    """Is it a name of a run's own, also of a file that was half written when the run was killed?"""
    own = _HALF_WRITTEN.sub(r"\1", name)
    return own in TOLD_ELSEWHERE or own in OF_A_RUN


def write_all(result: RunResult, out: Path) -> None:
    """result.json and every report made of it."""
    result_file.write(result, out / "result.json")
    write_reports(result, out)
