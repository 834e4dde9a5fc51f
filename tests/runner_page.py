"""The commands of the runner's page. The page is their only source; what runs them reads them from here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "site/runner.md"
USER: Final = "github-runner"
_PARTS: Final = re.compile(
    r"^## (?P<heading>[^\n]*)$|^```(?P<kind>\w+)\n(?P<commands>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """Commands and where they stand. ``kind`` is ``bash`` (root runs it), ``sh`` (the user), or another."""

    heading: str
    kind: str
    commands: str


def blocks_of(page: str) -> list[Block]:
    """All blocks of commands, in the page's order."""
    found, heading = [], ""
    for part in _PARTS.finditer(page):
        if part["kind"]:
            found.append(Block(heading, part["kind"], part["commands"]))
        else:
            heading = part["heading"]
    return found


def set_up() -> list[Block]:
    """What can be run as it stands."""
    return [block for block in blocks_of(PAGE.read_text()) if block.kind in ("bash", "sh")]


def step(number: int) -> list[Block]:
    """The blocks below the heading that begins with this number."""
    return [block for block in blocks_of(PAGE.read_text()) if block.heading.startswith(f"{number}. ")]
