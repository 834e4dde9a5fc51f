"""Desktop entries (freedesktop.org's specification, 1.5): what a ``.desktop`` file starts. Pure."""

import re
from configparser import Error, RawConfigParser
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import split
from typing import Final

_GROUP: Final = "Desktop Entry"
_ESCAPES: Final = {r"\s": " ", r"\n": "\n", r"\t": "\t", r"\r": "\r", "\\\\": "\\"}
_ESCAPED: Final = re.compile(r"\\[sntr\\]")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class DesktopEntry:
    """An entry: the words of its command line, and the program that has to be there for it to count."""

    path: str
    words: tuple[str, ...]
    tried: str = ""
    hidden: bool = False

    @property
    def name(self) -> str:
        """Of its file, without ``.desktop``."""
        return PurePosixPath(self.path).stem

    @property
    def program(self) -> str:
        """What it starts, without ``env`` and its assignments; empty when it starts nothing."""
        return next((word for word in self.words if word != "env" and not _ASSIGNMENT.match(word)), "")

    @property
    def programs(self) -> tuple[str, ...]:
        """What has to be found for it to work."""
        return tuple(dict.fromkeys(word for word in (self.tried, self.program) if word))


def parse_entry(path: str, text: str) -> DesktopEntry | None:
    """The entry in ``text``; None when it is none."""
    parser = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",), allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys are case-sensitive
    try:
        parser.read_string("\n".join(line.strip() for line in text.split("\n")))  # no line goes on in the next
        group = parser[_GROUP]
    except (Error, KeyError):
        return None
    return DesktopEntry(
        path=path,
        words=_words(_value(group.get("Exec"))),
        tried=_value(group.get("TryExec")),
        hidden="true" in (group.get("Hidden"), group.get("NoDisplay")),
    )


def _value(raw: str | None) -> str:
    """A string with its escapes replaced."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], raw or "")


def _words(line: str) -> tuple[str, ...]:
    """The words of a command line; field codes such as ``%F`` stay."""
    try:
        return tuple(split(line))
    except ValueError:  # a quote that is not closed: no desktop starts that
        return ()
