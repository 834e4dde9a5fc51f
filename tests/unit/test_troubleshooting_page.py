"""The messages that the troubleshooting page explains are those that the tool prints."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "site/troubleshooting.md").read_text()
NOT_OURS = {"tcg", "kvm", "qemu:///system", "KVM internal error", "failed to set MSR"}
"""Settings, and words of libvirt and QEMU."""


def messages() -> list[str]:
    """What stands in backticks in the first column, but for the table of boot stages."""
    rows = [line for line in PAGE.split("## Stages")[0].splitlines() if line.startswith("| ")]
    found = [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    return list(dict.fromkeys(text for text in found if text not in NOT_OURS))


@cache
def said() -> str:
    """Every text of the code, one a line."""
    files = (*(REPOSITORY / "kvm_action").rglob("*.py"), REPOSITORY / "tools/start_action.py")
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return "\n".join(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize("message", messages())
def test_a_message_of_the_page_is_one_that_the_tool_prints(message: str) -> None:
    for part in re.split(r"…|: ", message):
        if part.strip():
            assert part.strip() in said(), f"nothing prints {part!r}"


def test_the_page_has_messages() -> None:
    assert len(messages()) > 15
