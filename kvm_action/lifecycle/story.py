"""One run from its first to its last word: steps in order, then, always, evidence, report and clean-up."""

import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from kvm_action import __version__
from kvm_action.errors import (
    CheckError,
    CommandTimeoutError,
    E2EError,
    ExitCode,
    FailureClass,
    ProvisionError,
    RunEndedError,
    RunLimitError,
)
from kvm_action.events import Note, RunFinished, RunStarted, Sink, StepFinished, StepStarted
from kvm_action.guest import Backend, Machine, Skipped
from kvm_action.host import host_info
from kvm_action.interruption import Limit, time_limit
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.files import artifacts_in
from kvm_action.lifecycle.idempotence import telling_lines
from kvm_action.lifecycle.secrets import secrets_of
from kvm_action.lifecycle.steps import STEPS, Step, evidence
from kvm_action.output import Mask
from kvm_action.plan.load import LoadedPlan
from kvm_action.plan.model import Keep
from kvm_action.results import (
    Artifact,
    Failure,
    Outcome,
    PlanInfo,
    RunResult,
    StepName,
    StepOutcome,
    StepResult,
)
from kvm_action.shortage import lack_of
from kvm_action.wait import Clock

Reporter = Callable[[RunResult, Path], None]
"""Writes all reports of a result into the output folder."""

EVIDENCE_LINES: Final = 15


@dataclass(frozen=True, kw_only=True)
class Collaborators:
    """What the story needs from outside.

    ``keep`` has the last word over the plan's; ``limit`` is for the steps, not for what always follows them;
    ``undisturbed`` keeps signals away from the clean-up; ``interrupted`` is the error of a signal that came.
    """

    sink: Sink
    report: Reporter
    keep: Keep
    limit: timedelta | None = None
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext
    interrupted: Callable[[], E2EError | None] = lambda: None
    clock: Clock = time.monotonic


def run(run_id: str, loaded: LoadedPlan, backend: Backend, out: Path, using: Collaborators) -> RunResult:
    """Run the plan on a machine of ``backend`` and return the result, which is also written to ``out``.

    Failures are in the result, not raised. Only a bug of ours is raised, after everything was cleaned up.
    """
    return Story(run_id, loaded, backend, out, using).tell()


class Story:
    """One run. Used once."""

    def __init__(self, run_id: str, loaded: LoadedPlan, backend: Backend, out: Path, using: Collaborators) -> None:
        """Nothing happens before `tell`."""
        self._loaded = loaded
        self._backend = backend
        self._using = using
        self._out = out
        self._id = run_id
        self._bug: Exception | None = None
        self._limit = Limit()

    def tell(self) -> RunResult:
        """Do it."""
        self._started, self._began = datetime.now(UTC), self._using.clock()
        names = tuple(dict.fromkeys(step.name for step in STEPS))
        self._using.sink(
            RunStarted(
                id=self._id,
                plan=self._loaded.plan.name,
                backend=self._backend.name,
                out=str(self._out),
                at=self._started,
                steps=names,
            )
        )
        with ExitStack() as stack:
            context = self._context(stack.enter_context(self._backend.machine()))
            with time_limit(self._using.limit) as self._limit:
                self._perform_all(context)
            if context.failure:
                self._perform(context, Step(StepName.EVIDENCE, evidence))
            with self._using.undisturbed():
                self._keep_if_wanted(context)
                result = self._report(context)
                self._perform(context, Step(StepName.CLEANUP, lambda _context: self._clean_up(stack)))
                return self._finish(context, result)

    def _context(self, machine: Machine) -> RunContext:
        return RunContext(
            id=self._id,
            loaded=self._loaded,
            machine=machine,
            sink=self._using.sink,
            out=self._out,
            mask=Mask(secrets_of(self._loaded.plan)),
        )

    def _perform_all(self, context: RunContext) -> None:
        """All steps; a signal or the time limit may strike between two of them as well."""
        for step in STEPS:
            try:
                if context.failure:
                    self._tell_step(context, step.name, StepOutcome.SKIPPED, "an earlier step failed")
                else:
                    self._perform(context, step)
            except RunEndedError as error:
                self._fail(context, step.name, error)

    def _perform(self, context: RunContext, step: Step) -> None:
        at, began = datetime.now(UTC), self._using.clock()
        self._using.sink(StepStarted(name=step.name, at=at))
        outcome, detail = StepOutcome.PASSED, ""
        try:
            detail = step.act(context)
            if ended := self._untold_end(context):
                raise ended
        except Skipped as reason:
            outcome, detail = StepOutcome.SKIPPED, str(reason)
            if ended := self._untold_end(context):
                outcome, detail = self._fail(context, step.name, ended)
        except E2EError as error:
            outcome, detail = self._fail(context, step.name, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not keep the machine from being removed
            known = self._untold_end(context) or lack_of(error)
            outcome, detail = self._fail(context, step.name, known or self._note_bug(error))
        result = StepResult(
            name=step.name,
            outcome=outcome,
            started_at=at,
            seconds=round(self._using.clock() - began, 3),
            detail=context.mask.hide_text(detail),
        )
        context.steps.append(result)
        self._using.sink(StepFinished(result=result))

    def _untold_end(self, context: RunContext) -> E2EError | None:
        """The signal or the run's limit that ended the run, and that nothing told of yet."""
        return None if context.failure else self._using.interrupted() or self._limit.error

    def _note_bug(self, error: Exception) -> E2EError:
        self._bug = self._bug or error
        return E2EError(f"{type(error).__name__}: {error}")

    def _tell_step(self, context: RunContext, name: StepName, outcome: StepOutcome, detail: str) -> None:
        result = StepResult(name=name, outcome=outcome, started_at=datetime.now(UTC), seconds=0, detail=detail)
        context.steps.append(result)
        self._using.sink(StepFinished(result=result))

    def _fail(self, context: RunContext, step: StepName, error: E2EError) -> tuple[StepOutcome, str]:
        """Note the first failure; returns the outcome and detail of its step."""
        if ended := self._untold_end(context):
            error = ended  # whatever came of it on its way through libraries
        try:
            error = context.machine.explain(error)
        except RunEndedError as ended:  # looking for the cause takes time, in which a signal or the limit may come
            error = ended
        error = blame(step, error)
        if context.failure is None:
            context.failure = failure_of(step, error, context)
            context.exit_code = error.exit_code
        return _STEP_OUTCOMES.get(error.exit_code, StepOutcome.ERROR), error.message

    def _keep_if_wanted(self, context: RunContext) -> None:
        keep, failure = self._using.keep, context.failure
        if keep is Keep.NEVER or (keep is Keep.ON_FAILURE and failure is None):
            return
        if failure and failure.failure_class is FailureClass.INTERRUPTED:
            return
        try:
            self._using.sink(Note(text=context.machine.keep()))
        except (E2EError, OSError) as error:
            why = error.message if isinstance(error, E2EError) else str(error)
            self._using.sink(Note(text=f"the machine could not be kept: {why}", warning=True))

    def _report(self, context: RunContext) -> RunResult:
        """Write the report now, so that there is one whatever becomes of the clean-up."""
        result = self._result_of(context)
        self._perform(context, Step(StepName.REPORT, lambda _context: self._write(result)))
        return result

    def _write(self, result: RunResult) -> str:
        self._using.report(result, self._out)
        return str(self._out / "report.html")

    def _clean_up(self, stack: ExitStack) -> str:
        stack.close()
        return ""

    def _finish(self, context: RunContext, result: RunResult) -> RunResult:
        """Once more, with the clean-up in it."""
        result = replace(
            result,
            steps=tuple(context.steps),
            failure=context.failure,
            exit_code=context.exit_code,
            outcome=outcome_of(context.failure),
            seconds=round(self._using.clock() - self._began, 3),
        )
        self._write(result)
        self._using.sink(RunFinished(result=result, out=str(self._out)))
        if self._bug:
            raise self._bug
        return result

    def _artifacts(self) -> tuple[Artifact, ...]:
        """The files of the run; a report without their list is better than none."""
        try:
            return artifacts_in(self._out)
        except (OSError, RecursionError) as error:
            self._using.sink(Note(text=f"the files of the run cannot be listed: {error}", warning=True))
            return ()

    def _result_of(self, context: RunContext) -> RunResult:
        facts, plan = context.machine.facts(), self._loaded.plan
        seconds = self._using.clock() - self._began
        measures = replace(
            facts.measures,
            tool_memory_peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            provision_seconds=context.script_seconds,
            overhead_seconds=round(seconds - (context.script_seconds or 0), 3),
        )
        return RunResult(
            id=self._id,
            plan=PlanInfo(
                name=plan.name,
                digest=self._loaded.digest,
                path=str(self._loaded.path),
                script_digest=context.script_digest,
            ),
            outcome=outcome_of(context.failure),
            backend=self._backend.name,
            started_at=self._started,
            seconds=round(seconds, 3),
            tool_version=__version__,
            failure=context.failure,
            accel=facts.accel,
            start=facts.start,
            host=host_info(
                libvirt=facts.libvirt,
                hypervisor=facts.hypervisor,
                accel=facts.accel.name if facts.accel else "",
            ),
            image=facts.image,
            guest=facts.guest,
            steps=tuple(context.steps),
            milestones=facts.milestones,
            checks=tuple(context.checks),
            idempotence=context.idempotence,
            snapshots=tuple(context.snapshots),
            measures=measures,
            not_testable=facts.not_testable,
            artifacts=self._artifacts(),
            script_tail=context.script_tail,
            exit_code=context.exit_code,
        )


_STEP_OUTCOMES: Final = {
    ExitCode.TEST_FAILED: StepOutcome.FAILED,
    ExitCode.SIGINT: StepOutcome.INTERRUPTED,
    ExitCode.SIGTERM: StepOutcome.INTERRUPTED,
}


def outcome_of(failure: Failure | None) -> Outcome:
    """How the run is called."""
    if failure is None:
        return Outcome.PASSED
    match failure.failure_class.exit_code:
        case ExitCode.TEST_FAILED:
            return Outcome.FAILED
        case ExitCode.SIGINT | ExitCode.SIGTERM:
            return Outcome.INTERRUPTED
        case _:
            return Outcome.ERROR


def blame(step: StepName, error: E2EError) -> E2EError:
    """A time limit that struck in the script's or the checks' time is theirs, not the host's."""
    if isinstance(error, CommandTimeoutError | RunLimitError):
        if step in (StepName.PROVISION, StepName.IDEMPOTENCE):
            return ProvisionError(error.message, error.hint)
        if step is StepName.VALIDATE:
            return CheckError(error.message, error.hint)
    return error


def failure_of(step: StepName, error: E2EError, context: RunContext) -> Failure:
    """The failure as it is told: with the lines that show it best."""
    hide = context.mask.hide_text
    return Failure(
        failure_class=error.failure_class,
        step=step,
        message=hide(error.message),
        hint=hide(error.hint),
        stage=context.machine.stage() if error.failure_class is FailureClass.BOOT else "",
        evidence=tuple(hide(line) for line in _telling_lines(step, error, context)[-EVIDENCE_LINES:]),
    )


def _telling_lines(step: StepName, error: E2EError, context: RunContext) -> tuple[str, ...]:
    """What the script said, what it changed, or what the machine's console says."""
    again = context.idempotence
    match error.failure_class:
        case FailureClass.CHECK | FailureClass.PLAN | FailureClass.HOST | FailureClass.IMAGE:
            return ()
        case FailureClass.IDEMPOTENCE if again and again.exit == 0:
            return telling_lines(again.changes)[:EVIDENCE_LINES]
        case FailureClass.IDEMPOTENCE | FailureClass.PROVISION:
            tail = context.rerun_tail if step is StepName.IDEMPOTENCE else context.script_tail
            return tail or context.machine.console_tail()
        case _:
            return context.machine.console_tail()
