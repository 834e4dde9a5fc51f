"""`python fast_machine.py run PLAN --out OUT`: a whole run, with a machine that does nothing in no time.

All else is real: the process and its signals, the story, the queue, the run's folder with its lease, the reports.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from fakes import FakeGuest

from kvm_action import lifecycle
from kvm_action.backends.queueing import queued
from kvm_action.cli.crash import guarded
from kvm_action.cli.run import output_folder, write_all
from kvm_action.events import Sink
from kvm_action.events_file import events_file
from kvm_action.guest import MachineFacts, Skipped
from kvm_action.interruption import interruptible
from kvm_action.paths import Home
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Keep
from kvm_action.results import CheckResult
from kvm_action.runs import RunFolder, new_run_id, run_folder

A_STEP = 0.04
"""Seconds, so that a signal may strike in each."""


class FastMachine:
    """Its disk and its seed are files in the run's folder."""

    def __init__(self, loaded: LoadedPlan, run: str, sink: Sink, stack: ExitStack) -> None:
        self._loaded, self._run, self._sink, self._stack = loaded, run, sink, stack
        self._folder: RunFolder | None = None

    def check_host(self) -> str:
        runs = Home.from_environ().runs
        self._stack.enter_context(queued(self._loaded.plan, self._run, runs, self._sink))
        self._folder = self._stack.enter_context(run_folder(runs, self._run))
        return took_a_moment()

    def create_disk(self) -> str:
        self._folder.overlay.write_bytes(bytes(1 << 20))
        return took_a_moment()

    def create_seed(self) -> str:
        self._folder.seed.write_bytes(bytes(1 << 16))
        return took_a_moment()

    def launch(self) -> str:
        return took_a_moment()

    def wait_for_network(self) -> str:
        return took_a_moment()

    def connect(self) -> FakeGuest:
        took_a_moment()
        return FakeGuest({".": "hello\n"})

    def snapshot(self, _name: str, _parent: str | None) -> None:
        raise Skipped("there is nothing to keep")

    def assert_reachable(self) -> None:
        took_a_moment()

    def explain(self, error: Exception) -> Exception:
        return error

    def excuse(self, result: CheckResult) -> CheckResult:
        return result

    def collect_evidence(self, _into: Path, *, quickly: bool) -> str:
        return f"nothing, {'quickly' if quickly else 'slowly'}"

    def console_tail(self) -> tuple[str, ...]:
        return ()

    def stage(self) -> str:
        return ""

    def facts(self) -> MachineFacts:
        return MachineFacts()


@dataclass(frozen=True)
class FastBackend:
    loaded: LoadedPlan
    run: str
    sink: Sink
    name: str = "kvm"

    @contextmanager
    def machine(self) -> Iterator[FastMachine]:
        with ExitStack() as stack:
            yield FastMachine(self.loaded, self.run, self.sink, stack)


def took_a_moment() -> str:
    Event().wait(A_STEP)
    return "in no time"


def run(plan: Path, out: Path) -> int:
    """As `kvm-e2e run` does it."""
    loaded, run_id, out = load_plan(plan), new_run_id(datetime.now(UTC)), output_folder(out)
    with interruptible() as interruption, events_file(out / "events.jsonl") as sink:
        using = lifecycle.Collaborators(
            sink=sink, report=write_all, keep=Keep.NEVER, undisturbed=interruption.held
        )
        return lifecycle.run(run_id, loaded, FastBackend(loaded, run_id, sink), out, using).exit_code


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(Path(sys.argv[2]), Path(sys.argv[4]))))
