"""What has come of a file so far, with a note of which file it belongs to."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """The bytes that are there, and the note beside them."""

    file: Path
    note: Path

    @classmethod
    def of(cls, target: Path) -> "Part":
        """Of the file that is to become ``target``."""
        return cls(target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json"))

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.file.stat().st_size if self.file.exists() else 0

    def validator(self, url: str) -> str:
        """What identifies the file that the bytes belong to, empty when they are of no use."""
        try:
            note = json.loads(self.note.read_text())
            return str(note["validator"]) if note["url"] == _mark(url) and self.size else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def begin(self, url: str, validator: str) -> None:
        """Forget what was there; the file that comes now is this one."""
        self.file.write_bytes(b"")
        self.note.write_text(json.dumps({"url": _mark(url), "validator": validator}))

    def forget(self) -> None:
        """It is of no use."""
        self.file.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _mark(url: str) -> str:
    """An address may carry a password: only its digest is written."""
    return hashlib.sha256(url.encode()).hexdigest()
