"""A run in the log of a job: a group for each step, and below it, always visible, how the step ended."""

from dataclasses import dataclass

from kvm_action.events import Event, RunFinished, Sink, StepFinished, StepStarted
from kvm_action.workflow.commands import command
from kvm_action.workflow.stream import JobLog


@dataclass
class GroupedLog:
    """A sink. ``lines`` tells the events as lines on the same log."""

    log: JobLog
    lines: Sink
    is_open: bool = False

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        match event:
            case StepStarted(name=name):
                self.close()
                self.log.obey(command("group", f"step {name}"))
                self.is_open = True
                return
            case StepFinished() | RunFinished():
                self.close()
            case _:
                pass
        self.lines(event)

    def close(self) -> None:
        """End the group, if there is one."""
        if self.is_open:
            self.log.obey(command("endgroup"))
            self.is_open = False
