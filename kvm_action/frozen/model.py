"""A template as values: all that it depends on, what it consists of, and its manifest as JSON."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kvm_action.digest import sha256_of
from kvm_action.renewal import FrozenIdentity

DOUBT: Final = "in-doubt"
"""In a template's folder, with the reason: no machine may start from it any more."""
MANIFEST: Final = "template.json"
DISK: Final = "disk.qcow2"
STATE: Final = "state.bin"
SEED: Final = "seed.iso"


class TemplateError(Exception):
    """A template cannot be used or made; the text is a reason for the result, never an error of the run."""


class NoRoomError(TemplateError):
    """There is no place for its memory, or this QEMU may not use one of ours: another mode may still work."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that a template depends on. Sizes in bytes.

    ``in_memory_file``: its memory is a file of its own (mode ``template``), else part of its state (``restore``).
    """

    image: str
    image_name: str
    image_path: str
    """The disk names the file that it stands on."""
    firmware: str
    cpus: int
    memory: int
    cpu: str
    accel: str
    disk: int
    user: str
    sudo: bool
    with_password: bool
    hypervisor: str
    host_cpu: str
    tool: str
    in_memory_file: bool

    @property
    def key(self) -> str:
        """The name of the template: a digest of everything above but the image's name."""
        values = asdict(self) | {"image_name": ""}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A template that was made. ``memory_file``: None when the memory is in the state."""

    folder: Path
    shape: Shape
    identity: FrozenIdentity
    created: datetime
    seconds: float
    state_sha256: str
    memory_file: Path | None
    memory_bytes: int
    """What the memory file took when it was made."""
    memory_holes: list[list[int]]
    """Where it was never written (`memory_file.holes`)."""
    stamps: dict[str, list[int]]
    """Size and time of change (ns) of each file: most are too large to be read at every start."""

    @property
    def key(self) -> str:
        """Its name."""
        return self.shape.key

    @property
    def disk(self) -> Path:
        """The disk as it was when the machine was frozen, above its image; never written."""
        return self.folder / DISK

    @property
    def state(self) -> Path:
        """Processors and devices (and memory, in mode ``restore``)."""
        return self.folder / STATE

    @property
    def seed(self) -> Path:
        """The seed volume that the machine has plugged in."""
        return self.folder / SEED

    @property
    def is_in_doubt(self) -> bool:
        """Does it only stay for a machine that stands on it?"""
        return (self.folder / DOUBT).exists()

    @property
    def bytes(self) -> int:
        """What it occupies, memory file included."""
        files = [self.disk, self.state, self.seed, *([self.memory_file] if self.memory_file else [])]
        return sum(file.stat().st_blocks * 512 for file in files if file.exists())

    def require_sound(self) -> None:
        """Raise TemplateError when any of its files is gone or has changed since it was made."""
        for name, stamp in self.stamps.items():
            if stamp_of(Path(name) if name.startswith("/") else self.folder / name) != stamp:
                raise TemplateError(f"its file {Path(name).name} is gone or has changed")
        if self.shape.in_memory_file and sha256_of(self.state) != self.state_sha256:
            raise TemplateError("its saved state has changed")

    def to_json(self) -> str:
        """The manifest."""
        values = asdict(self) | {
            "folder": "",
            "created": self.created.isoformat(),
            "memory_file": str(self.memory_file) if self.memory_file else None,
        }
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, folder: Path) -> "Template":
        """Read a manifest. Raises ValueError, KeyError or TypeError when it is none of this version."""
        values = json.loads(text)
        return cls(
            **values
            | {
                "folder": folder,
                "shape": Shape(**values["shape"]),
                "identity": FrozenIdentity(**values["identity"]),
                "created": datetime.fromisoformat(values["created"]),
                "memory_file": Path(values["memory_file"]) if values["memory_file"] else None,
            }
        )


def stamp_of(file: Path) -> list[int]:
    """Size and time of change; empty when the file is not there."""
    try:
        found = file.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
