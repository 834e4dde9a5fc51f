"""An error without a result, as annotations and as a summary: the plan is wrong, an input is, or the host is."""

from pathlib import Path

from kvm_action.errors import E2EError
from kvm_action.plan.render import InvalidPlanError, about
from kvm_action.report import gfm
from kvm_action.report.annotations import Checkout
from kvm_action.text import plain, plain_line
from kvm_action.workflow.commands import Annotation, Level


def refusal_annotations(error: E2EError, plan: Path, checkout: Checkout) -> tuple[Annotation, ...]:
    """One for each mistake of a plan, at its line; else one for the error."""
    path = checkout.path(str(plan))
    if not isinstance(error, InvalidPlanError):
        words = [plain(error.message), plain(error.hint)]
        return (
            Annotation(
                level=Level.ERROR,
                title=f"kvm-e2e: {error.failure_class}",
                message="\n".join(word for word in words if word),
            ),
        )
    return tuple(
        Annotation(
            level=Level.ERROR,
            title=f"{plain_line(plan.name, 100)} is wrong",
            message="\n".join(word for word in (about(problem) + problem.message, problem.hint) if word),
            path="" if problem.span.argument else path,
            line=problem.span.line,
            column=problem.span.column,
        )
        for problem in error.problems
    )


def refusal_summary(error: E2EError) -> str:
    """Markdown for the job's summary."""
    hint = f"\nWhat to do: {gfm.escape(plain_line(error.hint))}\n" if error.hint else ""
    block = gfm.fence(plain(error.message).split("\n"))
    return f"## ⚠️ kvm-e2e did not run the plan ({error.failure_class})\n\n{block}\n{hint}"


def refusal_lines(error: E2EError) -> list[str]:
    """For the log: the message behind a bar, so that no line of it stands alone."""
    first, *more = plain(error.message).split("\n")
    return [f"error: {first}", *(f"  | {line}" for line in more), *([f"hint: {error.hint}"] if error.hint else [])]
