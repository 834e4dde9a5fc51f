"""One call of the action: inputs, plan, the run that the terminal would do, and what is told of it."""

import os
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TextIO, cast

from kvm_action.action.inputs import CheckRunWish, Inputs, read_inputs, take_texts, wants_summary
from kvm_action.action.log import GroupedLog
from kvm_action.action.telling import Telling
from kvm_action.cli.run import Options, run_plan
from kvm_action.cli.terminal.lines import PlainLines
from kvm_action.errors import E2EError, ExitCode, FailureClass
from kvm_action.events import Event, RunFinished, Sink, tee
from kvm_action.interruption import interruptible
from kvm_action.lifecycle.secrets import secrets_of
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.publish.check_runs import CheckRuns, Identity
from kvm_action.publish.client import Access, repository
from kvm_action.publish.live import LiveCheckRun
from kvm_action.publish.page import Page, completed, not_run
from kvm_action.results import Outcome, RunResult
from kvm_action.workflow.commands import mask_commands
from kvm_action.workflow.job import Job
from kvm_action.workflow.stream import JobLog

PATIENCE: Final = timedelta(seconds=30)
"""For the last word to the check run."""
HASTE: Final = timedelta(seconds=2)
"""The same when the runner has cancelled: it kills 10 s after its first signal."""


def run_action(environ: MutableMapping[str, str], log: JobLog) -> int:
    """Do it; returns the exit code. What went wrong is told, not raised, unless it is a bug of ours."""
    telling = Telling(job=Job.from_environ(environ), log=log, index=environ.get("KVM_E2E_JOB_INDEX", ""))
    texts: dict[str, str] = {}
    with interruptible() as interruption:
        try:
            texts = take_texts(environ)
            inputs = read_inputs(texts)
            os.chdir(inputs.working_directory)
        except E2EError as error:
            telling.refusal(error, Path(), in_summary=wants_summary(texts))
            return error.exit_code
        call = Call(telling=telling, inputs=inputs)
        try:
            call.run()
        except E2EError as error:
            call.error = error
        finally:
            with interruption.held():
                call.tell()
        return call.exit_code


@dataclass(kw_only=True)
class Call:
    """One run and what is known of it by now."""

    telling: Telling
    inputs: Inputs
    check: LiveCheckRun | None = None
    result: RunResult | None = None
    out: Path = Path()
    error: E2EError | None = None

    def __call__(self, event: Event) -> None:
        """A sink: keeps the result, which a bug after it would take away."""
        if isinstance(event, RunFinished):
            self.result, self.out = event.result, Path(event.out)

    @property
    def exit_code(self) -> int:
        """Of the run, else of the error."""
        if self.result:
            return self.result.exit_code
        return self.error.exit_code if self.error else ExitCode.BUG

    def run(self) -> None:
        """Load the plan and run it. Raises E2EError when that cannot be."""
        try:
            loaded = load_plan(self.inputs.plan, self.inputs.overrides)
        except E2EError:
            self._start_check_run(self.inputs.plan.stem)
            raise
        self._start_check_run(loaded.plan.name)
        self._mask(loaded)
        log = self.telling.log
        grouped = GroupedLog(log, PlainLines(cast(TextIO, log)))
        sinks: list[Sink] = [grouped, self, *([self.check] if self.check else [])]
        try:
            run_plan(loaded, self._options(), tee(*sinks))
        finally:
            grouped.close()

    def tell(self) -> None:
        """Whatever happened."""
        if self.result:
            self.telling.result(self.result, self.out, self.inputs)
            page = completed(self.result, self.telling.annotations_of(self.result))
        else:
            error = self.error or E2EError("kvm-e2e hit a bug of its own", "The log says which.")
            self.telling.refusal(error, self.inputs.plan, in_summary=self.inputs.summary)
            found = self.telling.refusal_annotations(error, self.inputs.plan)
            page = not_run(error.message.split("\n", maxsplit=1)[0], error.message, found)
        self._finish_check_run(page)
        if self.result and not self._in_haste:
            self.telling.keep(self.result, self.inputs)

    @property
    def _in_haste(self) -> bool:
        if self.result:
            return self.result.outcome is Outcome.INTERRUPTED
        return self.error is not None and self.error.failure_class is FailureClass.INTERRUPTED

    def _mask(self, loaded: LoadedPlan) -> None:
        self.telling.log.obey(*(one for secret in secrets_of(loaded.plan) for one in mask_commands(secret)))

    def _options(self) -> Options:
        inputs = self.inputs
        return Options(
            image=inputs.image,
            backend=inputs.backend,
            accel=inputs.accel,
            start=inputs.start,
            out=inputs.out or self.telling.temporary / f"kvm-e2e-{secrets.token_hex(4)}",
            keep=inputs.keep,
            timeout=inputs.timeout,
            as_json=False,
        )

    def _start_check_run(self, plan: str) -> None:
        job, inputs = self.telling.job, self.inputs
        if inputs.check_run is CheckRunWish.FALSE or not (inputs.token and job.repository and job.sha):
            return
        name = inputs.check_name or f"kvm-e2e: {plan}" + (f" on {inputs.image}" if inputs.image else "")
        identity = Identity(
            name=name,
            sha=job.sha,
            # the last part: another step of this job may run the same plan, and must not write over this one
            external_id="/".join(
                ("kvm-e2e", job.run, job.attempt, job.job, self.telling.index, secrets.token_hex(8))
            ),
            details_url=job.url,
        )
        access = Access(repository=job.repository, token=inputs.token, api=job.api)
        self.check = LiveCheckRun(CheckRuns(repository(access), identity))
        self.check.start()

    def _finish_check_run(self, page: Page) -> None:
        if self.check:
            published = self.check.finish(page, HASTE if self._in_haste else PATIENCE)
            self.telling.published(published, self.inputs.check_run)
