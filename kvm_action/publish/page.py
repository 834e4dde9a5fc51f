"""What a check run says, as values: title, summary, text and annotations, within the limits of GitHub's API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kvm_action.report import gfm
from kvm_action.report.markdown import details, headline
from kvm_action.report.verdict import verdict
from kvm_action.results import Outcome, RunResult, StepResult
from kvm_action.signs import MARKS
from kvm_action.text import plain, plain_line
from kvm_action.units import format_seconds
from kvm_action.workflow.commands import Annotation, Level, cut, shown

TEXT_LIMIT: Final = 65_535
"""Characters of the summary, and of the text."""
BATCH: Final = 50
"""Annotations of one request."""
MOST_ANNOTATIONS: Final = 250
"""Annotations of one level in all."""
NO_FILE: Final = ".github"
"""Where GitHub itself shows annotations that belong to no file."""

_LEVELS: Final = {Level.ERROR: "failure", Level.WARNING: "warning", Level.NOTICE: "notice"}
_CONCLUSIONS: Final = {
    Outcome.PASSED: "success",
    Outcome.FAILED: "failure",
    Outcome.ERROR: "failure",
    Outcome.INTERRUPTED: "cancelled",
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page of a check run. ``conclusion`` is empty while it is in progress."""

    title: str
    summary: str
    text: str = ""
    annotations: tuple[dict[str, Any], ...] = field(default=())
    conclusion: str = ""

    def output(self, annotations: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """As the API takes it, with these ``annotations``."""
        return {
            "title": self.title,
            "summary": self.summary,
            **({"text": self.text} if self.text else {}),
            **({"annotations": [*annotations]} if annotations else {}),
        }

    def batches(self, after: int = 0) -> list[tuple[dict[str, Any], ...]]:
        """The annotations ``after`` so many, fifty at a time; one empty batch when there are none."""
        starts = range(after, len(self.annotations), BATCH)
        return [self.annotations[at : at + BATCH] for at in starts] or [()]


def in_progress(running: str, steps: Sequence[StepResult]) -> Page:
    """While the run goes on: the step that ``running`` names, and those that are over."""
    rows = "".join(
        f"| {MARKS[step.outcome]} {step.name} | {format_seconds(step.seconds)} "
        f"| {gfm.escape(plain_line(step.detail, 200))} |\n"
        for step in steps
    )
    table = f"| Step | Time | |\n| --- | ---: | --- |\n{rows}" if rows else "Nothing is over yet.\n"
    return Page(title=f"In {running}" if running else "Starting", summary=cut(table, TEXT_LIMIT))


def completed(result: RunResult, annotations: tuple[Annotation, ...]) -> Page:
    """When the run is over."""
    told = verdict(result)
    title = f"{told.word} in {told.step}: {told.headline}" if told.step else told.headline
    return Page(
        title=cut(plain_line(title), 250),
        summary=headline(result, TEXT_LIMIT),
        text=details(result, TEXT_LIMIT),
        annotations=tuple(as_request(one) for one in shown(annotations, MOST_ANNOTATIONS)),
        conclusion=_CONCLUSIONS[result.outcome],
    )


def not_run(title: str, text: str, annotations: tuple[Annotation, ...]) -> Page:
    """When there was no run, since the plan or the host did not allow one."""
    return Page(
        title=cut(plain_line(title), 250),
        summary=cut(gfm.fence(plain(text).split("\n")), TEXT_LIMIT),
        annotations=tuple(as_request(one) for one in shown(annotations, MOST_ANNOTATIONS)),
        conclusion="failure",
    )


def as_request(annotation: Annotation) -> dict[str, Any]:
    """``annotation`` as the API takes it."""
    line = annotation.line or 1
    return {
        "path": annotation.path or NO_FILE,
        "start_line": line,
        "end_line": line,
        "annotation_level": _LEVELS[annotation.level],
        "title": cut(plain(annotation.title), 255),
        "message": cut(plain(annotation.message), 10_000),
        **({"start_column": annotation.column, "end_column": annotation.column} if annotation.column else {}),
    }
