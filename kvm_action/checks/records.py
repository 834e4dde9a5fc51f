"""What a question of ours prints in the guest, as records: a name, and a text that may be anything.

A login shell may greet before them; that is dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from testinfra.host import Host

PRINTER: Final = "r() { printf '\\036%s\\037' \"$1\"; }"
"""Shell: ``r NAME`` begins a record, and what is printed next is its text."""
_BEGIN: Final = "\x1e"
_NAMED: Final = "\x1f"


@dataclass(frozen=True)
class Record:
    """A name and its text, without white space around it."""

    name: str
    text: str


def records(output: bytes) -> tuple[Record, ...]:
    """All records, in their order."""
    told = output.decode(errors="replace").split(_BEGIN)[1:]
    pairs = (one.partition(_NAMED) for one in told)
    return tuple(Record(name, text.strip()) for name, _, text in pairs)


def answers(host: Host, question: str) -> tuple[Record, ...]:
    """What the guest answers to ``question``, a shell script that prints records."""
    return records(host.run(question).stdout_bytes)


def by_name(told: tuple[Record, ...]) -> Mapping[str, str]:
    """The records' texts; the first of each name counts."""
    return {one.name: one.text for one in reversed(told)}
