"""The story of a run, told with a machine that can be made to fail in every step."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event as Signal

import pytest
import samples
from fakes import FakeGuest

from kvm_action import lifecycle
from kvm_action.errors import (
    BootError,
    CommandTimeoutError,
    E2EError,
    ExitCode,
    FailureClass,
    GuestConnectionError,
    HostError,
    InterruptedRunError,
    ProvisionError,
    RunEndedError,
    RunLimitError,
)
from kvm_action.events import Event, Note, RunFinished, StepFinished, StepStarted, Stream
from kvm_action.guest import GuestOutput, MachineFacts, Received, Skipped, Tree
from kvm_action.lifecycle import idempotence as rerun
from kvm_action.lifecycle import steps, story
from kvm_action.lifecycle.files import remove_what_a_killed_run_left
from kvm_action.lifecycle.provision import why
from kvm_action.lifecycle.steps import hidden
from kvm_action.output import Mask
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Keep
from kvm_action.results import CheckOutcome, CheckResult, Outcome, RunResult, SnapshotInfo, StepName, StepOutcome


@dataclass
class ScriptedGuest:
    """A guest that prints what it was told and ends how it was told."""

    output: bytes = b"hello\n"
    status: int = 0
    signal: str = ""
    raises: E2EError | None = None
    interrupted_in_get: bool = False
    fetched: list[str] = field(default_factory=list)
    allowed: list[timedelta] = field(default_factory=list)
    """For each of those that were fetched."""

    def run(self, command: str, **options: object) -> GuestOutput:
        if on_output := options.get("on_output"):
            on_output(Stream.STDOUT, self.output)
            if self.raises:
                raise self.raises
        return GuestOutput(command, self.status, b"", b"", signal=self.signal)

    def put(self, tree: Tree, timeout: object) -> int:
        return 10

    def get(self, pattern: str, into: Path, *, timeout: timedelta, **_options: object) -> Received:
        if self.interrupted_in_get:
            raise InterruptedRunError("int")
        self.fetched.append(pattern)
        self.allowed.append(timeout)
        return Received(())

    def ssh_access(self) -> None:
        return None


@dataclass
class ScriptedMachine:
    """Does nothing, remembers what was asked of it, and raises in one step what it was told to."""

    guest: ScriptedGuest
    fails_in: str = ""
    error: BaseException | None = None
    asked: list[str] = field(default_factory=list)

    def _step(self, name: str) -> str:
        self.asked.append(name)
        if name == self.fails_in and self.error:
            raise self.error
        return name

    def check_host(self) -> str:
        return self._step("check_host")

    def create_disk(self) -> str:
        return self._step("create_disk")

    def create_seed(self) -> str:
        return self._step("create_seed")

    def launch(self) -> str:
        return self._step("launch")

    def wait_for_network(self) -> str:
        return self._step("wait_for_network")

    def connect(self) -> ScriptedGuest:
        self._step("connect")
        return self.guest

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:
        raise Skipped("not here")

    def assert_reachable(self) -> None:
        self._step("assert_reachable")

    def excuse(self, result: CheckResult) -> CheckResult:
        return result

    def explain(self, error: E2EError) -> E2EError:
        return error

    def collect_evidence(self, into: Path, *, quickly: bool) -> str:
        return self._step("evidence quickly" if quickly else "evidence")

    def console_tail(self) -> tuple[str, ...]:
        return ("last console line",)

    def stage(self) -> str:
        return "kernel"

    def facts(self) -> MachineFacts:
        return MachineFacts()

    def keep(self) -> str:
        return self._step("keep")


@dataclass
class ScriptedBackend:
    made: ScriptedMachine
    name: str = "kvm"
    ended: bool = False

    @contextmanager
    def machine(self) -> Iterator[ScriptedMachine]:
        try:
            yield self.made
        finally:
            self.ended = True


@dataclass
class Told:
    """What came of a run."""

    result: RunResult
    backend: ScriptedBackend
    events: list[Event]
    reports: list[RunResult]

    @property
    def outcomes(self) -> dict[StepName, StepOutcome]:
        return {step.name: step.outcome for step in self.result.steps}


def plan(folder: Path, text: str = 'provision: {run: "true"}') -> LoadedPlan:
    (folder / "plan.yml").write_text(text)
    return load_plan(folder / "plan.yml")


def tell(
    folder: Path,
    machine: ScriptedMachine,
    *,
    keep: Keep = Keep.NEVER,
    text: str | None = None,
    limit: timedelta | None = None,
    interrupted: Callable[[], E2EError | None] = lambda: None,
) -> Told:
    events, reports = [], []
    backend = ScriptedBackend(machine)
    using = lifecycle.Collaborators(
        sink=events.append,
        report=lambda result, _out: reports.append(result),
        keep=keep,
        limit=limit,
        interrupted=interrupted,
    )
    loaded = plan(folder, text) if text else plan(folder)
    out = folder / "out"
    out.mkdir()
    result = lifecycle.run("run-1", loaded, backend, out, using)
    return Told(result, backend, events, reports)


def machine(fails_in: str = "", error: BaseException | None = None, **guest: object) -> ScriptedMachine:
    return ScriptedMachine(ScriptedGuest(**guest), fails_in, error)


def test_a_run_that_passes_tells_all_steps_and_exits_zero(tmp_path: Path) -> None:
    told = tell(tmp_path, machine())
    assert (told.result.outcome, told.result.exit_code) == (Outcome.PASSED, 0)
    assert set(told.outcomes.values()) <= {StepOutcome.PASSED, StepOutcome.SKIPPED}
    assert told.result.script_tail == ("hello",)
    assert isinstance(told.events[-1], RunFinished)


@pytest.mark.parametrize(
    ("step", "error", "code"),
    [
        ("check_host", HostError("no"), ExitCode.INFRASTRUCTURE),
        ("create_disk", HostError("full"), ExitCode.INFRASTRUCTURE),
        ("wait_for_network", BootError("stuck"), ExitCode.INFRASTRUCTURE),
        ("connect", GuestConnectionError("lost"), ExitCode.INFRASTRUCTURE),
        ("assert_reachable", ProvisionError("broken"), ExitCode.TEST_FAILED),
        ("launch", InterruptedRunError("int"), ExitCode.SIGINT),
        ("launch", InterruptedRunError("term", ExitCode.SIGTERM), ExitCode.SIGTERM),
    ],
)
def test_a_failure_in_any_step_skips_the_rest_but_never_evidence_report_and_cleanup(
    tmp_path: Path, step: str, error: E2EError, code: ExitCode
) -> None:
    told = tell(tmp_path, machine(step, error))
    assert told.result.exit_code == code
    assert told.backend.ended
    outcomes = told.outcomes
    assert outcomes[StepName.VALIDATE] is StepOutcome.SKIPPED
    for always in (StepName.EVIDENCE, StepName.REPORT, StepName.CLEANUP):
        assert outcomes[always] is StepOutcome.PASSED
    assert told.reports[-1].steps[-1].name is StepName.CLEANUP


def test_evidence_is_taken_quickly_when_we_are_being_killed(tmp_path: Path) -> None:
    told = tell(tmp_path, machine("launch", InterruptedRunError("int")))
    assert "evidence quickly" in told.backend.made.asked


def test_a_failing_script_shows_its_own_last_lines_and_a_stuck_boot_the_consoles(tmp_path: Path) -> None:
    script = tell(tmp_path, machine(output=b"one\nE: no such package\n", status=100)).result.failure
    assert script.evidence[-1] == "E: no such package"
    (tmp_path / "b").mkdir()
    boot = tell(tmp_path / "b", machine("wait_for_network", BootError("stuck"))).result.failure
    assert (boot.evidence, boot.stage) == (("last console line",), "kernel")


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ({"df -P": "100%\n"}, 1, "the guest's disk is full"),
        ({"dmesg": "python3\n"}, 137, "its kernel killed python3: raise machine.memory"),
        ({}, 137, "killed by SIGKILL, most often for want of memory"),
        ({}, 1, "its last lines are below"),
        ({"df": GuestConnectionError("lost"), "dmesg": GuestConnectionError("lost")}, 127, "`files`"),
    ],
)
def test_why_a_script_failed_is_asked_of_the_guest_first(
    answers: dict[str, str | E2EError], status: int, words: str
) -> None:
    assert words in why(FakeGuest(answers), status)


def test_a_bug_of_ours_is_raised_but_only_after_the_machine_is_gone(tmp_path: Path) -> None:
    made = machine("create_seed", ZeroDivisionError("oops"))
    backend = ScriptedBackend(made)
    reports: list[RunResult] = []
    using = lifecycle.Collaborators(
        sink=lambda _event: None, report=lambda result, _out: reports.append(result), keep=Keep.NEVER
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError):
        lifecycle.run("run-1", plan(tmp_path), backend, tmp_path / "out", using)
    assert backend.ended
    assert reports[-1].exit_code == ExitCode.BUG


def test_a_host_that_lacks_something_in_a_step_is_no_bug_of_ours(tmp_path: Path) -> None:
    told = tell(tmp_path, machine("create_disk", OSError(errno.EMFILE, "Too many open files")))
    assert told.result.exit_code == ExitCode.INFRASTRUCTURE
    assert "may not open any more files" in told.result.failure.message


@pytest.mark.parametrize(
    ("keep", "fails", "kept"),
    [
        (Keep.NEVER, True, False),
        (Keep.ON_FAILURE, True, True),
        (Keep.ON_FAILURE, False, False),
        (Keep.ALWAYS, False, True),
    ],
)
def test_a_machine_is_kept_when_it_was_asked_for_and_only_then(
    tmp_path: Path, keep: Keep, fails: bool, kept: bool
) -> None:
    told = tell(tmp_path, machine(status=int(fails)), keep=keep)
    assert ("keep" in told.backend.made.asked) is kept


def test_an_interrupted_run_keeps_nothing(tmp_path: Path) -> None:
    told = tell(tmp_path, machine("launch", InterruptedRunError("int")), keep=Keep.ALWAYS)
    assert "keep" not in told.backend.made.asked


def test_secrets_of_the_plan_are_nowhere_in_the_result(tmp_path: Path) -> None:
    text = 'provision: {run: "true", env: {API_TOKEN: s3cr3t-value, DEBIAN_FRONTEND: noninteractive}}'
    told = tell(tmp_path, machine(output=b"noninteractive s3cr3t-value\n", status=1), text=text)
    assert told.result.failure.evidence == ("noninteractive ***",)
    assert "s3cr3t-value" not in repr(told.result) + repr(told.events)
    assert b"s3cr3t" not in (tmp_path / "out/provision.log").read_bytes()


def test_every_step_that_starts_also_ends(tmp_path: Path) -> None:
    told = tell(tmp_path, machine("connect", GuestConnectionError("lost")))
    begun = [event.name for event in told.events if isinstance(event, StepStarted)]
    finished = [event.result for event in told.events if isinstance(event, StepFinished)]
    assert [step.name for step in finished] == [step.name for step in told.result.steps]
    assert [step.name for step in finished if step.outcome is not StepOutcome.SKIPPED] == begun


@dataclass
class SlowMachine(ScriptedMachine):
    """Takes its time in one step."""

    slow_in: str = ""

    def _step(self, name: str) -> str:
        if name == self.slow_in:
            Signal().wait(0.5)
        return super()._step(name)


def test_the_time_limit_ends_the_step_that_runs_and_evidence_still_gets_its_time(tmp_path: Path) -> None:
    slow = SlowMachine(ScriptedGuest(), slow_in="wait_for_network")
    told = tell(tmp_path, slow, limit=timedelta(milliseconds=100))
    assert told.result.exit_code == ExitCode.INFRASTRUCTURE
    assert "limit of 100ms" in told.result.failure.message
    assert told.result.failure.step is StepName.NETWORK
    assert told.outcomes[StepName.EVIDENCE] is StepOutcome.PASSED


def test_the_time_limit_is_not_for_the_evidence_and_what_follows_it(tmp_path: Path) -> None:
    slow = SlowMachine(ScriptedGuest(status=1), slow_in="evidence")
    told = tell(tmp_path, slow, limit=timedelta(milliseconds=400))
    assert "exited with status 1" in told.result.failure.message
    assert told.outcomes[StepName.EVIDENCE] is StepOutcome.PASSED


def test_an_interrupted_run_takes_seconds_for_its_artifacts(tmp_path: Path) -> None:
    text = 'provision: {run: "true"}\nartifacts: [/var/log/x, /var/log/y]'
    guest = ScriptedGuest(raises=InterruptedRunError("int"))
    tell(tmp_path, ScriptedMachine(guest), text=text)
    assert guest.fetched == ["/var/log/x", "/var/log/y"]
    assert max(guest.allowed) <= timedelta(seconds=2)


def test_a_machine_that_a_full_disk_lets_nobody_keep_is_a_warning_and_the_report_comes(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    told = tell(tmp_path, ScriptedMachine(ScriptedGuest(status=1), "keep", full), keep=Keep.ALWAYS)
    assert told.result.exit_code == ExitCode.TEST_FAILED
    assert told.reports
    assert any("could not be kept: [Errno 28]" in e.text for e in told.events if isinstance(e, Note))


def test_checks_that_had_ended_are_in_the_report_when_the_others_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_guest: object, on_result: Callable[[CheckResult], None], **_options: object) -> None:
        on_result(samples.checks()[0])
        raise InterruptedRunError("int")

    monkeypatch.setattr(steps, "run_checks", interrupted)
    told = tell(tmp_path, machine())
    assert [check.name for check in told.result.checks] == [samples.checks()[0].name]


def test_a_second_run_that_hangs_is_told_as_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SecondHangs(ScriptedGuest):
        runs = 0

        def run(self, command: str, **options: object) -> GuestOutput:
            if options.get("on_output"):
                self.runs += 1
                self.raises = CommandTimeoutError("late") if self.runs == 2 else None
            return super().run(command, **options)

    monkeypatch.setattr(rerun, "capture", lambda *_what: None)
    told = tell(tmp_path, ScriptedMachine(SecondHangs()), text='provision: {run: "true", idempotent: true}')
    assert told.result.failure.failure_class is FailureClass.IDEMPOTENCE
    assert told.result.failure.message.startswith("run again, the script was still running after")
    assert told.result.failure.evidence == ("hello",)


def test_files_that_cannot_be_listed_cost_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(_out: Path) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(story, "artifacts_in", too_deep)
    told = tell(tmp_path, machine())
    assert told.result.exit_code == ExitCode.PASSED
    assert told.reports


def test_a_signal_while_artifacts_are_fetched_ends_the_run(tmp_path: Path) -> None:
    text = 'provision: {run: "true"}\nartifacts: [/var/log/x]'
    told = tell(tmp_path, ScriptedMachine(ScriptedGuest(interrupted_in_get=True)), text=text)
    assert told.result.exit_code == ExitCode.SIGINT


@pytest.mark.parametrize(("status", "rerun"), [(0, "false"), (0, "true"), (1, "false")])
def test_artifacts_are_fetched_once_wherever_the_run_fails(tmp_path: Path, status: int, rerun: str) -> None:
    text = f'provision: {{run: "true", idempotent: {rerun}}}\nartifacts: [/var/log/x]'
    guest = ScriptedGuest(status=status)
    tell(tmp_path, ScriptedMachine(guest), text=text)
    assert guest.fetched == ["/var/log/x"]


@pytest.mark.parametrize("breaks_off", [None, OSError(errno.ENOSPC, "full"), InterruptedRunError("int")])
def test_what_sudo_wrote_into_the_journal_is_kept_without_the_plans_secrets(
    tmp_path: Path, breaks_off: Exception | None
) -> None:
    class Telling(ScriptedMachine):
        def collect_evidence(self, into: Path, *, quickly: bool) -> str:
            (into / "guest").mkdir()
            (into / "guest/journal.txt").write_bytes(b"sudo: COMMAND=install --token s3cr3t-value \xff\n")
            if breaks_off:
                raise breaks_off
            return "logs"

    text = 'provision: {run: "true", env: {API_TOKEN: s3cr3t-value}}'
    tell(tmp_path, Telling(ScriptedGuest(), "assert_reachable", ProvisionError("broken")), text=text)
    assert (tmp_path / "out/guest/journal.txt").read_bytes() == b"sudo: COMMAND=install --token *** \xff\n"


def test_a_signal_or_the_runs_limit_is_never_taken_for_a_silent_guest(tmp_path: Path) -> None:
    class Asked(ScriptedGuest):
        def run(self, command: str, **keys: object) -> GuestOutput:
            if command.startswith("df "):
                raise InterruptedRunError("interrupted by SIGTERM", ExitCode.SIGTERM)
            return super().run(command, **keys)

    told = tell(tmp_path, ScriptedMachine(Asked(status=1)))
    assert told.result.exit_code == ExitCode.SIGTERM


def test_the_limit_of_the_run_is_told_as_such_when_it_strikes_in_the_script(tmp_path: Path) -> None:
    class Slow(ScriptedGuest):
        def run(self, command: str, **keys: object) -> GuestOutput:
            if command.startswith("sh -c"):
                Signal().wait(10)
            return super().run(command, **keys)

    told = tell(tmp_path, ScriptedMachine(Slow()), limit=timedelta(milliseconds=300))
    assert "longer than its limit" in told.result.failure.message
    assert told.result.exit_code == ExitCode.TEST_FAILED


def test_files_of_a_killed_run_are_not_the_next_ones_and_nobody_elses_are_touched(tmp_path: Path) -> None:
    for name in ("guest/packages.txt", "artifacts/etc/a", "console.log", "mine.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    remove_what_a_killed_run_left(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_secret_in_the_name_of_a_check_is_hidden() -> None:
    shown = CheckResult(name="mysql -phunter22", kind="command", outcome=CheckOutcome.FAILED, seconds=0,
                        section="of hunter22", expected="", actual="", message="hunter22")  # fmt: skip
    assert "hunter22" not in repr(hidden(shown, Mask(["hunter22"])))


@pytest.mark.parametrize("ended", [InterruptedRunError("int"), RunLimitError("too long")])
def test_a_signal_while_the_cause_of_a_failure_is_looked_for_leaves_no_step_untold(
    tmp_path: Path, ended: E2EError
) -> None:
    class Slow(ScriptedMachine):
        def explain(self, error: E2EError) -> E2EError:
            if not isinstance(error, RunEndedError):
                raise ended
            return error

    told = tell(tmp_path, Slow(ScriptedGuest(), "connect", GuestConnectionError("lost")))
    assert told.outcomes[StepName.SSH] is not StepOutcome.PASSED
    begun = {event.name for event in told.events if isinstance(event, StepStarted)}
    assert begun <= {event.result.name for event in told.events if isinstance(event, StepFinished)}


@pytest.mark.parametrize("swallowed", [EOFError(), GuestConnectionError("lost"), None])
def test_a_signal_that_a_library_made_something_else_of_is_a_signal_all_the_same(
    tmp_path: Path, swallowed: Exception | None
) -> None:
    came: list[E2EError] = []

    class Interrupted(ScriptedMachine):
        def launch(self) -> str:
            came.append(InterruptedRunError("interrupted by SIGTERM", ExitCode.SIGTERM))
            if swallowed:
                raise swallowed
            return "launched"

    told = tell(tmp_path, Interrupted(ScriptedGuest()), interrupted=lambda: came[0] if came else None)
    assert told.result.exit_code == ExitCode.SIGTERM
    assert told.outcomes[StepName.LAUNCH] is StepOutcome.INTERRUPTED
    assert told.outcomes[StepName.EVIDENCE] is StepOutcome.PASSED


def test_a_signal_that_was_swallowed_in_a_step_that_is_skipped_ends_the_run(tmp_path: Path) -> None:
    came: list[E2EError] = []

    class Interrupted(ScriptedMachine):
        def create_seed(self) -> str:
            came.append(InterruptedRunError("int"))
            raise Skipped("not here")

    told = tell(
        tmp_path, Interrupted(ScriptedGuest()), keep=Keep.ALWAYS, interrupted=lambda: came[0] if came else None
    )
    assert told.result.failure.step is StepName.SEED
    assert told.outcomes[StepName.EVIDENCE] is StepOutcome.PASSED
    assert "keep" not in told.backend.made.asked


def test_a_bug_that_follows_a_signal_is_not_hidden_by_it(tmp_path: Path) -> None:
    class Broken(ScriptedMachine):
        def collect_evidence(self, into: Path, *, quickly: bool) -> str:
            raise ZeroDivisionError

    error = InterruptedRunError("int")
    with pytest.raises(ZeroDivisionError):
        tell(tmp_path, Broken(ScriptedGuest(), "launch", error), interrupted=lambda: error)
