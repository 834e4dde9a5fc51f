"""A terminal that echoes `^C` spoils the line that is erased next."""

import os
import pty
import sys
import termios
from pathlib import Path

import pytest

from kvm_action.cli.terminal.echo import no_echo_of_control_keys

pytestmark = pytest.mark.integration

SCRIPT = """
import sys, termios
from kvm_action.cli.terminal.echo import no_echo_of_control_keys
def echoes():
    return bool(termios.tcgetattr(0)[3] & termios.ECHOCTL)
said = [echoes()]
try:
    with no_echo_of_control_keys():
        said.append(echoes())
        raise KeyboardInterrupt
except KeyboardInterrupt:
    said.append(echoes())
print(said)
"""


def on_a_terminal(*, in_background: bool) -> str:
    """What the script prints in a session with a terminal of its own, before or behind its session's leader."""
    pid, keyboard = pty.fork()
    if pid == 0:
        words = [sys.executable, "-c", SCRIPT]
        if in_background:  # a shell with job control stays the terminal's foreground
            words = ["bash", "-c", 'set -m; "$0" "$@" & wait', *words]
        os.execvp(words[0], words)
    with os.fdopen(keyboard, "rb", buffering=0) as terminal:
        said = b""
        while b"]" not in said:
            said += terminal.read(1024)
        os.waitpid(pid, 0)
    return said.decode().strip()


def test_control_keys_are_not_echoed_while_we_draw_and_are_again_afterwards() -> None:
    assert on_a_terminal(in_background=False) == "[True, False, True]"


def test_a_job_in_the_background_leaves_the_terminal_alone_and_is_not_stopped_for_it() -> None:
    assert "[True, True, True]" in on_a_terminal(in_background=True)


def test_without_a_terminal_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with no_echo_of_control_keys(), pytest.raises(termios.error):
            termios.tcgetattr(stdin.fileno())
