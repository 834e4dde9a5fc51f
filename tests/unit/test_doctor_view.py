"""Findings on a terminal, in a pipe, and as JSON."""

import io
import json
import re

from rich.console import Console

from kvm_action.cli.doctor.view import as_json, for_root, show
from kvm_action.doctor.finding import Finding, ok, problem, warning

COMMAND = (
    "sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm && echo this line is longer than any terminal is wide"
)
FINDINGS = [
    problem("QEMU", "not installed", "sudo apt-get install -y qemu-system-x86"),
    ok("memory", "8 GiB [of 16] available"),
    warning("/dev/kvm", "permission denied", f"{COMMAND}\n# then log in again"),
]


def shown(*, terminal: bool, width: int = 40, color: bool = False) -> str:
    out = io.StringIO()
    show(
        FINDINGS,
        "A verdict.",
        Console(file=out, force_terminal=terminal, width=width, no_color=not color, _environ={}),
    )
    return out.getvalue()


def test_a_command_is_never_broken_since_it_is_there_to_be_copied() -> None:
    assert f"    {COMMAND}\n" in shown(terminal=False)


def test_on_a_narrow_terminal_the_command_is_left_to_the_terminal_to_wrap() -> None:
    assert COMMAND in shown(terminal=True).replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_a_pipe_gets_one_line_a_finding_and_neither_colours_nor_signs() -> None:
    text = shown(terminal=False, color=True)
    assert "ok       memory: 8 GiB [of 16] available\n" in text
    assert text.isascii()
    assert "\x1b" not in text


def test_no_color_means_no_color() -> None:
    assert "\x1b[3" not in shown(terminal=True, color=False)
    assert "\x1b[3" in shown(terminal=True, color=True)


def test_what_matters_most_stands_last() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[-1] == "A verdict."
    assert lines.index("warning: /dev/kvm: permission denied") < lines.index("problem: QEMU: not installed")


def test_json_is_a_list_with_everything() -> None:
    assert json.loads(as_json([warning("a", "b", "c")])) == [
        {"subject": "a", "level": "warning", "seen": "b", "mend": "c"}
    ]


def test_root_is_not_sent_to_a_sudo_that_may_not_be_installed() -> None:
    mended: Finding = for_root(FINDINGS[2])
    assert mended.mend.startswith("chgrp kvm /dev/kvm && chmod 660")
    assert for_root(warning("a", "", "echo x | sudo tee /y")).mend == "echo x | tee /y"


def test_below_80_columns_the_signs_do_without_their_words_to_leave_room_for_what_was_seen() -> None:
    assert "! /dev/kvm" in re.sub(r"\x1b\[[0-9;]*m", "", shown(terminal=True, width=60))
    assert "! warning /dev/kvm" in re.sub(r"\x1b\[[0-9;]*m", "", shown(terminal=True, width=100))
