"""How an outcome looks: one sign for each, the same in terminal, report, site and on GitHub."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MARKS: Final[Mapping[str, str]] = MappingProxyType(
    {"passed": "✓", "failed": "✗", "error": "!", "skipped": "–", "interrupted": "■"}
)
"""By the value of any outcome; narrow, and in every font."""
EMOJI: Final[Mapping[str, str]] = MappingProxyType(
    {"passed": "✅", "failed": "❌", "error": "⚠️", "interrupted": "⏹️"}
)
"""By the value of a run's outcome, where Markdown has no colours."""


def mark(outcome: str) -> str:
    """The sign of an outcome, for templates; ``·`` for a word that is none."""
    return MARKS.get(outcome, "·")
