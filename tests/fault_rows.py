"""The guide's table of faults, and the tests of it. `python -m fault_rows` selects those it shows a run of."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "site/faults.md"
_TEST: Final = re.compile(r"`(test_\w+)`(?: … ((?:`(?!test_)\w+`(?:, )?)+))?")
_SHOWN: Final = re.compile(r"<!-- kvm-e2e: run (\S+) -->")


@dataclass(frozen=True)
class Row:
    """A fault, its tests as pairs of a module and words of a name, and the words that find a run of it."""

    fault: str
    tests: tuple[tuple[str, str], ...]
    shown: str


def rows() -> list[Row]:
    """All rows, in the page's order."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "`test_" in line]
    return [row(*line.strip("| ").split(" | ")) for line in lines]


def row(fault: str, _status: str, _said: str, last: str) -> Row:
    tests = [
        (module, words)
        for module, listed in _TEST.findall(last)
        for words in re.findall(r"`(\w+)`", listed) or [""]
    ]
    shown = _SHOWN.search(last)
    return Row(fault, tuple(tests), shown[1] if shown else "")


def selection() -> str:
    """What pytest's ``-k`` takes for the tests of which the table shows a run."""
    named = dict.fromkeys(test for row in rows() if row.shown for test in row.tests)
    return " or ".join(f"({module} and {words})" if words else module for module, words in named)


if __name__ == "__main__":
    print(selection())
