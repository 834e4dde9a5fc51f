"""After the run: outputs, artifact, summary, annotations, history. Trouble here is told, and fails no run."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from kvm_action.action.artifact import artifact_name, link_text, pack, stage
from kvm_action.action.inputs import CheckRunWish, HistoryWish, Inputs
from kvm_action.action.outputs import outputs_of, outputs_without_result
from kvm_action.action.refusal import refusal_annotations, refusal_lines, refusal_summary
from kvm_action.errors import E2EError, HostError
from kvm_action.history.adding import without_places
from kvm_action.history.entry import Entry, Origin, dumps
from kvm_action.publish.attempts import Attempts
from kvm_action.publish.branch import DataBranch
from kvm_action.publish.client import Access, repository
from kvm_action.publish.live import Published
from kvm_action.report.annotations import Checkout, annotations
from kvm_action.report.markdown import markdown
from kvm_action.results import RunResult
from kvm_action.wait import Deadline
from kvm_action.workflow.commands import Annotation, Level, annotation_command, shown
from kvm_action.workflow.files import SUMMARY_LIMIT, write_outputs, write_summary
from kvm_action.workflow.job import Job, legal_name
from kvm_action.workflow.stream import JobLog

HISTORY_PATIENCE: Final = timedelta(seconds=30)
LINK_ROOM: Final = 4096
"""Bytes of the summary that are left for the link to the artifact."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How a job is told things."""

    job: Job
    log: JobLog
    index: str = ""
    """Which job of a matrix this is."""

    def outputs(self, values: dict[str, str]) -> None:
        """Hand values to the steps that follow."""
        if path := self.job.outputs:
            self.safely(lambda: write_outputs(path, values))

    def summary(self, text: str) -> None:
        """Add to the job's summary."""
        if path := self.job.summary:
            self.safely(lambda: write_summary(path, text))

    def annotate(self, found: tuple[Annotation, ...]) -> None:
        """Show annotations, as many as GitHub takes."""
        self.log.obey(*(annotation_command(one) for one in shown(found)))

    def safely(self, tell: Callable[[], object]) -> None:
        """Whatever cannot be told is a warning, never the end."""
        try:
            tell()
        except E2EError as error:
            self.warn(error)

    def warn(self, error: E2EError) -> None:
        """A warning beside the job."""
        words = "\n".join(word for word in (error.message, error.hint) if word)
        self.annotate((Annotation(level=Level.WARNING, title="kvm-e2e", message=words),))

    # --- a run and its result

    def result(self, result: RunResult, out: Path, inputs: Inputs) -> None:
        """Everything there is to tell of a result, the cheapest first: a runner that cancels does not wait."""
        self.outputs(outputs_of(result, out))
        self.safely(lambda: self._stage(result, out, inputs))
        if inputs.summary:
            self.summary(markdown(result, SUMMARY_LIMIT - LINK_ROOM))
        self.annotate(self.annotations_of(result))
        self.safely(lambda: pack(out, self._staged(result), inputs.upload))

    def annotations_of(self, result: RunResult) -> tuple[Annotation, ...]:
        """What to remark on it, with paths of the repository."""
        return annotations(result, self._checkout())

    def _staged(self, result: RunResult) -> Path:
        return self.temporary / f"kvm-e2e-artifact-{result.id}"

    def _stage(self, result: RunResult, out: Path, inputs: Inputs) -> None:
        folder = self._staged(result)
        if stage(out, folder, inputs.upload):
            name = inputs.artifact_name or artifact_name(
                result.plan.name, self.job.job, self.index, self.job.attempt, result.id
            )
            about = link_text(folder, inputs.upload)
            self.outputs(
                {"upload": "true", "upload-name": name, "upload-path": str(folder), "upload-about": about}
            )

    def keep(self, result: RunResult, inputs: Inputs) -> None:
        """Store the result on the branch of the history, if it shall be."""
        if inputs.history is HistoryWish.BRANCH:
            self.safely(lambda: self._store(result, inputs))

    def _store(self, result: RunResult, inputs: Inputs) -> None:
        if not (inputs.token and self.job.repository):
            raise HostError("the result was not added to the history: there is no token or repository")
        access = Access(repository=self.job.repository, token=inputs.token, api=self.job.api)
        branch = DataBranch(repository=repository(access), name=inputs.history_branch)
        path = f"runs/{result.started_at:%Y/%m}/{legal_name(result.id)}.json"
        ended = result.started_at + timedelta(seconds=result.seconds)  # not now: a second try says the same
        kept = Entry(result=without_places(result), added_at=ended, origin=Origin.from_environ(os.environ))
        branch.put(
            path,
            dumps(kept),
            f"Add run {result.id}: {result.outcome}",
            Attempts(deadline=Deadline(HISTORY_PATIENCE)),
        )
        self.log.write(f"history: {path} on the branch {inputs.history_branch}\n")

    # --- no result

    def refusal(self, error: E2EError, plan: Path, *, in_summary: bool = True) -> None:
        """Everything there is to tell when there was no run."""
        self.outputs(outputs_without_result(error))
        if in_summary:
            self.summary(refusal_summary(error))
        self.log.write("".join(f"{line}\n" for line in refusal_lines(error)))
        self.annotate(self.refusal_annotations(error, plan))

    def refusal_annotations(self, error: E2EError, plan: Path) -> tuple[Annotation, ...]:
        """What to remark on it."""
        return refusal_annotations(error, plan, self._checkout())

    # --- the check run

    def published(self, published: Published, wish: CheckRunWish) -> None:
        """What became of the check run."""
        if published.url:
            self.outputs({"check-url": published.url})
        if not (problem := published.problem):
            return
        sentence = f"{problem.message}; this job's summary has the report all the same."
        if wish is CheckRunWish.AUTO:
            self.log.write(f"note: {sentence} {problem.hint}\n")
        else:
            self.warn(HostError(sentence, problem.hint))

    @property
    def temporary(self) -> Path:
        """A folder that the runner empties."""
        return self.job.temporary or Path(gettempdir())

    def _checkout(self) -> Checkout:
        return Checkout(self.job.workspace, Path())
