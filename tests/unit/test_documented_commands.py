"""Every command line that the documents show is one that the command line takes. None is carried out."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kvm_action.cli import root

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "site").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:console|bash|sh|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INNER = re.compile(r"\$\(([^()]*)\)")
CALL = re.compile(r"(?:^|(?:\$|run:|&&|\|) +)[\w./~]*\bkvm-e2e (.*)")
END = re.compile(r" (?:[|&;>]|#|2>)")


def lines_of(page: Path) -> Iterator[str]:
    for block in BLOCK.findall(page.read_text()):
        yield from block.replace("\\\n", "").splitlines()


def calls(line: str) -> Iterator[str]:
    """The words behind each ``kvm-e2e`` of a line of shell, those of its ``$(...)`` as well."""
    for inner in INNER.findall(line):
        yield from calls(inner)
    if found := CALL.search(INNER.sub("INNER", line)):
        yield END.split(found[1])[0]


DOCUMENTED = [
    pytest.param(call, id=f"{page.name}: {call}")
    for page in PAGES
    for line in lines_of(page)
    for call in calls(line)
]


def taken(words: list[str]) -> click.Context:
    """The command and its values. Raises click.UsageError for what it does not take."""
    command: click.Command | None = root
    context = click.Context(root)
    while isinstance(command, click.Group):
        name, *words = words
        command = command.get_command(context, name)
        assert command, f"there is no {name}"
    assert command
    return command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize("call", DOCUMENTED)
def test_a_command_line_of_the_documents_is_taken(call: str) -> None:
    context = taken(shlex.split(call))
    if context.command.name == "import":  # click cannot say that it wants one of two
        assert bool(context.params["sha256"]) != bool(context.params["listing"])


def test_the_documents_show_command_lines() -> None:
    assert len(DOCUMENTED) > 40


@pytest.mark.parametrize("call", ["run", "run plan.yml --tiemout 3m", "image build x --method y", "vm sssh last"])
def test_a_command_line_that_is_wrong_would_be_seen(call: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        taken(shlex.split(call))
