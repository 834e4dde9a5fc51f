"""Workflow commands: lines of a log that GitHub obeys. Values are escaped, so that none can become a command.

The escapes are those of actions/toolkit (`command.ts`); the limits those of the runner (`ExecutionContext.cs`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kvm_action.text import plain

MOST_OF_A_KIND: Final = 10
"""Annotations of one level that GitHub shows of a step; what comes later is dropped."""
MESSAGE_LIMIT: Final = 4096
"""Characters of a message; the runner cuts what is longer."""
TITLE_LIMIT: Final = 200

_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
_COMMAND: Final = re.compile(r"^(\s*)::")


class Level(StrEnum):
    """How bad an annotation is; the values are the names of the commands."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark beside a line of a file. ``path`` is relative to the repository, or empty; lines count from 1."""

    level: Level
    title: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0


def command(name: str, message: str = "", /, **properties: str | int) -> str:
    """A line that GitHub obeys, without its end. Properties that are empty or 0 are left out."""
    words = ",".join(
        f"{key}={plain(str(value)).translate(_PROPERTY)}" for key, value in properties.items() if value
    )
    return f"::{name}{' ' if words else ''}{words}::{message.translate(_DATA)}"


def annotation_command(annotation: Annotation) -> str:
    """``annotation`` as a command; too much text is cut here, where it can be said."""
    place: dict[str, str | int] = {}
    if annotation.path:
        place = {"file": annotation.path, "line": annotation.line or 1, "col": annotation.column}
    title = cut(plain(annotation.title), TITLE_LIMIT)
    return command(annotation.level, cut(plain(annotation.message), MESSAGE_LIMIT), title=title, **place)


def shown(annotations: tuple[Annotation, ...], most: int = MOST_OF_A_KIND) -> tuple[Annotation, ...]:
    """The first ``most`` of each level; the last of a level that has more says how many it stands for."""
    chosen: list[Annotation] = []
    for level in Level:
        of_level = [one for one in annotations if one.level is level]
        if len(of_level) > most:
            rest = len(of_level) - most + 1
            words = f"{rest} more are in the summary of the job and in the report."
            of_level = [*of_level[: most - 1], Annotation(level=level, title=f"{rest} more", message=words)]
        chosen += of_level
    return tuple(chosen)


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last one ``…`` when something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def mask_commands(secret: str) -> tuple[str, ...]:
    """Commands that hide ``secret`` in all that the job logs from now on: whole, and each of its lines.

    Values below four characters are left alone: hiding them would make every log unreadable.
    """
    lines = dict.fromkeys(part for part in (secret, *secret.splitlines()) if len(part) >= 4)
    return tuple(command("add-mask", line) for line in lines)


def harmless(line: str) -> str:
    """``line`` as one that GitHub does not obey: neither ``::error::`` nor the older ``##[error]``."""
    return _COMMAND.sub("\\1\N{ZERO WIDTH SPACE}::", line).replace("##[", "## [")
