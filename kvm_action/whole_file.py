"""Files that are written whole or not at all, so that a reader never meets half a one."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError

ANOTHER_OUT: Final = "make room, or choose another --out"
"""The hint for what a run's user finds in its results."""
FREE_SPACE: Final = "free some space there, or mend its permissions"


def write_whole(path: Path, text: str, hint: str = FREE_SPACE) -> None:
    """Write ``text`` to ``path`` in one stroke. Raises HostError, with ``hint``, without space or permission."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise HostError(f"could not write {path}: {error.strerror}", hint) from error
