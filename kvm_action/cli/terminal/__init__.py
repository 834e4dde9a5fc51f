"""What a person sees of a run while it goes on: live lines on a terminal, plain lines in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console

from kvm_action.cli.terminal.echo import no_echo_of_control_keys
from kvm_action.cli.terminal.lines import PlainLines
from kvm_action.cli.terminal.live import LiveTerminal
from kvm_action.cli.terminal.stream import unbreakable
from kvm_action.events import Sink


@contextmanager
def terminal_sink(stream: TextIO, *, is_terminal: bool, width: int | None = None) -> Iterator[Sink]:
    """A sink that tells people on ``stream``; ``width`` in columns (None: the terminal's own).

    When the reader goes away (a closed pipe, a hung-up terminal) the run goes on without being told.
    """
    lenient = unbreakable(stream)
    console = Console(
        file=lenient, width=width, force_terminal=is_terminal, highlight=False, markup=False, emoji=False
    )
    if not is_terminal or console.is_dumb_terminal:
        yield PlainLines(lenient)
        return
    with no_echo_of_control_keys(), LiveTerminal(console) as live:
        yield live
