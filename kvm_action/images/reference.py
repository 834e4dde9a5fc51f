"""What a plan may write for ``machine.image``: a name of the store or the path of a disk file."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from kvm_action.digest import sha256_of
from kvm_action.errors import ImageError, PlanError
from kvm_action.images import qemu_img
from kvm_action.images.model import Firmware, Image
from kvm_action.images.presets import PRESETS
from kvm_action.images.recipes import RECIPES

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DISK_SUFFIXES = {".qcow2", ".raw", ".img", ".vmdk"}
_CAN_BE_BUILT = (*RECIPES, *PRESETS)
_RUNNABLE = {"qcow2", "raw"}


def is_path(wanted: str) -> bool:
    """Is this the path of a file, rather than a name?"""
    return "/" in wanted or Path(wanted).suffix in _DISK_SUFFIXES


def require_name(name: str) -> None:
    """Raise PlanError for what cannot be a name in the store."""
    if not _NAME.fullmatch(name) or is_path(name):
        raise PlanError(
            f"{name!r} cannot name an image",
            hint="use up to 64 lower-case letters, digits, dots, dashes; no ending such as .qcow2",
        )


def unknown(name: str, there: Sequence[str]) -> ImageError:
    """The error for a name that the store does not have."""
    close = get_close_matches(name, [*there, *(recipe for recipe in _CAN_BE_BUILT if recipe not in there)], n=1)
    meant = f"; did you mean {close[0]}?" if close and close[0] != name else ""
    wanted = close[0] if close else name
    return ImageError(
        f"there is no image {name} in the store{meant}", hint=how_to_get(wanted, there=wanted in there)
    )


def how_to_get(name: str, *, there: bool = False, again: bool = False) -> str:
    """The command that brings the image of that name into the store."""
    if there:
        return f"use {name}, or see `kvm-e2e image list`"
    if name in _CAN_BE_BUILT:
        return f"kvm-e2e image build {name}{' --force' if again else ''}"
    return f"kvm-e2e image import FILE --name {name} --sha256 HEX, or build one of: {', '.join(_CAN_BE_BUILT)}"


def image_of_file(path: Path) -> Image:
    """An image that is not in the store. Raises ImageError when it is missing, damaged or needs another file."""
    info = qemu_img.require_sound(path)
    if info.format not in _RUNNABLE:
        raise ImageError(
            f"{path} is {info.format}, and a machine starts from qcow2 or raw only",
            hint=f"kvm-e2e image import {path} --name {path.stem.lower()} --sha256 HEX",
        )
    stat = path.stat()
    return Image(
        name=path.name,
        path=path.absolute(),
        sha256=sha256_of(path),
        bytes=stat.st_size,
        virtual_bytes=info.virtual_bytes,
        firmware=Firmware.BIOS,
        os="",
        created=datetime.fromtimestamp(stat.st_mtime, UTC),
        recipe="file",
        format=info.format,
    )
