"""Golden files: what a format looked like when somebody last looked at it."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str, regenerate: bool) -> None:
    """``text`` is what ``tests/golden/<name>`` holds; ``--regenerate`` writes it there instead."""
    path = FOLDER / name
    if regenerate:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
