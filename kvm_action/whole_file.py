"""Files that are written whole or not at all, so that a reader never meets half a one."""

import os
from contextlib import suppress
from pathlib import Path

from kvm_action.errors import HostError


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in one stroke. Raises HostError when there is no space or permission."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise HostError(
            f"could not write {path}: {error.strerror}", "Make room or choose another --out."
        ) from error
