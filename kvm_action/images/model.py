"""What an image is: frozen values. Knows nothing of where images are kept or how they come to be."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Firmware(StrEnum):
    """What the image boots by."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that is installed in the image."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The run whose machine became the image, and the image that it had started from."""

    image: str
    image_sha256: str
    run: str
    plan: str


@dataclass(frozen=True, kw_only=True)
class Input:
    """One thing that went into the image: a choice, an address, or a file by its digest."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is told of an image when it enters the store, beside what can be measured of its file."""

    firmware: Firmware
    os: str = ""
    """Such as ``debian-13``; empty when nobody said."""
    recipe: str = ""
    """What made it: ``bootstrap/debian-13@<digest of the recipe>`` or ``import``; the method comes first."""
    inputs: tuple[Input, ...] = ()
    packages: tuple[Package, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class Image:
    """A base disk. Its file is never written; machines run on overlays."""

    name: str
    path: Path
    sha256: str
    bytes: int
    """Size of the file."""
    virtual_bytes: int
    """Size of the disk that a guest sees; an overlay must not be smaller."""
    firmware: Firmware
    os: str
    created: datetime
    recipe: str
    format: str = "qcow2"
    """QEMU's name of the format, for an overlay's ``backing_fmt``."""
    packages: tuple[Package, ...] = field(default=(), repr=False)
    inputs: tuple[Input, ...] = ()
    origin: Origin | None = None

    @property
    def method(self) -> str:
        """How it was made: bootstrap, installer, cloud, import, promote, or file for one outside the store."""
        return self.recipe.partition("/")[0]
