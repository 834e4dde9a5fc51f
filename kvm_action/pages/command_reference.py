"""The command reference, made from what the command line says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kvm_action.pages.markdown import cell, code

_UNWRAPPED: Final = "\b\n"
"""With this, click is told to leave a paragraph's lines as they are."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option or argument as ``--help`` shows it."""

    names: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: how it is called, what it does, what it takes."""

    path: str
    usage: str
    words: str
    options: tuple[Option, ...]


def command_reference(commands: Sequence[Command]) -> str:
    """Markdown: a section for each command."""
    return "\n".join(_section(command) for command in commands)


def _section(command: Command) -> str:
    lines = [
        f"### {command.path}",
        "",
        _paragraphs(command.words),
        "",
        "```console",
        f"$ {command.usage}",
        "```",
        "",
    ]
    if command.options:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| {code(option.names)} | {cell(option.words)} |" for option in command.options]
    return "\n".join([*lines, ""])


def _paragraphs(text: str) -> str:
    return "\n\n".join(_paragraph(part) for part in text.split("\n\n"))


def _paragraph(part: str) -> str:
    as_it_is = part.removeprefix(_UNWRAPPED)
    if as_it_is != part:
        return f"```text\n{as_it_is}\n```"
    return " ".join(part.split()).replace("<", "&lt;")
