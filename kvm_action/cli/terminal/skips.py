"""Steps that were skipped one after the other for one reason: told together, in one line."""

from dataclasses import dataclass

from kvm_action.events import Event, StepFinished
from kvm_action.results import StepOutcome, StepResult


@dataclass(frozen=True)
class Skipped:
    """The names in their order, and why."""

    names: tuple[str, ...] = ()
    reason: str = ""

    def ends_with(self, event: Event) -> bool:
        """Is it time to tell them: is there something, and ``event`` no step skipped for the same reason?"""
        step = skipped_step(event)
        return bool(self.names) and not (step and step.detail == self.reason)

    def __add__(self, step: StepResult) -> "Skipped":
        """And this one."""
        return Skipped((*self.names, step.name), step.detail)

    @property
    def listed(self) -> str:
        """``overlay, seed, launch``."""
        return ", ".join(dict.fromkeys(self.names))


def skipped_step(event: Event) -> StepResult | None:
    """The step that this event tells to be skipped, if it does."""
    if isinstance(event, StepFinished) and event.result.outcome is StepOutcome.SKIPPED:
        return event.result
    return None
