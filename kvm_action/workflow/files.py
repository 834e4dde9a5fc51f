"""The files through which a step hands values to GitHub: outputs and the job's summary."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError

SUMMARY_LIMIT: Final = 1024 * 1024
"""Bytes of a step's summary. GitHub drops one that is larger as a whole."""


def write_outputs(path: Path, values: Mapping[str, str]) -> None:
    """Append ``values`` to the file of outputs (``$GITHUB_OUTPUT``). Raises HostError when that cannot be."""
    _append(path, "".join(output(name, value) for name, value in values.items()))


def output(name: str, value: str) -> str:
    """One output. Its delimiter is random, so that no value can end it and begin another."""
    delimiter = f"kvm-e2e-{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def write_summary(path: Path, text: str) -> None:
    """Append Markdown to the step's summary (``$GITHUB_STEP_SUMMARY``), as far as there is room.

    Who has more to say than fits should cut by worth before; here the end is cut.
    """
    room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
    _append(path, text.encode("utf-8", "replace")[: max(room, 0)].decode("utf-8", "ignore"))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise HostError(
            f"could not write {path}: {error.strerror}", "GitHub gives a step this file; is its disk full?"
        ) from error
