"""Taking a disk file from outside into the store, after proof that it is what was promised."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kvm_action.errors import ImageError
from kvm_action.images import checksums, qemu_img
from kvm_action.images.checksums import Checksum
from kvm_action.images.contents import Contents, look_into
from kvm_action.images.model import Facts, Firmware, Image, Input
from kvm_action.images.qemu_img import DiskInfo
from kvm_action.images.reference import require_name
from kvm_action.images.store import Store
from kvm_action.images.tools import require_space

Progress = Callable[[str], None]

_NAMED = {".qcow2": "qcow2", ".vmdk": "vmdk", ".raw": "raw"}


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What is said of a file that is to be taken in; what is left empty is found out.

    ``place`` is where it came from, for messages and for the image's manifest.
    """

    checksum: Checksum
    place: Input
    format: str = ""
    firmware: Firmware | None = None
    os: str = ""
    recipe: str = "import"
    inputs: tuple[Input, ...] = ()
    needs_cloud_init: bool = False


def import_file(store: Store, source: Path, *, name: str, promise: Promise, progress: Progress) -> Image:
    """Copy a qcow2, raw or vmdk file into the store as qcow2, under ``name``.

    Raises ImageError when it is not what was promised, when it is damaged, or when it needs a second file.
    """
    require_name(name)
    progress(f"looking at {promise.place.value}")
    _require_there(source)
    checksums.require(source, promise.checksum, shown=promise.place.value)
    info = _sound(source, promise)
    _require_format(info, promise)
    wait = f"another process makes {name}; waiting for it"
    with store.lock(name, on_wait=lambda: progress(wait)), store.workplace(name) as folder:
        copies = 1 if info.format == "raw" else 2
        require_space(
            folder, copies * qemu_img.flat_bytes(source, info.format), f"a copy of {promise.place.value}"
        )
        raw = _raw(source, info, folder)
        contents = _look_into(raw, promise, progress)
        progress("copying it into the store")
        disk = folder / "disk.qcow2"
        qemu_img.convert(raw, "raw", disk)
        return store.add(name, disk, facts_of(promise, info, contents))


def facts_of(promise: Promise, info: DiskInfo, contents: Contents) -> Facts:
    """What is told of the image: what was said of it, else what was found."""
    found = {True: "yes", False: "no", None: "not seen: no ext4 root file system"}[contents.cloud_init]
    inputs = (
        promise.place,
        Input(name="checksum", value=str(promise.checksum)),
        *promise.inputs,
        Input(name="format", value=info.format),
        Input(name="cloud-init", value=found),
    )
    return Facts(
        firmware=promise.firmware or contents.firmware or Firmware.BIOS,
        os=promise.os or contents.os,
        recipe=promise.recipe,
        inputs=inputs,
        packages=contents.packages,
    )


def _require_there(source: Path) -> None:
    if not source.is_file():
        raise ImageError(f"there is no image file {source}", hint="check the path")
    if not os.access(source, os.R_OK):
        raise ImageError(f"{source} cannot be read by this user", hint=f"ls -l {source}")


def _sound(source: Path, promise: Promise) -> DiskInfo:
    try:
        return qemu_img.require_sound(source)
    except ImageError as error:
        raise _called(error, str(source), promise) from error


def _called(error: ImageError, name: str, promise: Promise) -> ImageError:
    """The same error, about the place that the user named."""
    place = promise.place.value
    return ImageError(error.message.replace(name, place), error.hint.replace(name, place))


def _require_format(info: DiskInfo, promise: Promise) -> None:
    """A file that is not of the kind that it was said to be, by its caller or its name, is not what was meant."""
    said = promise.format or _NAMED.get(Path(promise.place.value).suffix.lower(), "")
    if said and said != info.format:
        raise ImageError(
            f"{promise.place.value} is said to be {said}, and is {info.format}",
            hint=f"if that is right, say so: --format {info.format}",
        )


def _raw(source: Path, info: DiskInfo, folder: Path) -> Path:
    """The disk as a raw file: what can be looked into."""
    if info.format == "raw":
        return source
    raw = folder / "disk.raw"
    qemu_img.convert(source, info.format, raw, "raw")
    return raw


def _look_into(raw: Path, promise: Promise, progress: Progress) -> Contents:
    try:
        contents = look_into(raw)
    except ImageError as error:
        raise _called(error, raw.name, promise) from error
    if contents.cloud_init is False:
        told = f"{promise.place.value} has no cloud-init, without which no machine made from it can be reached"
        if promise.needs_cloud_init:
            raise ImageError(told, hint="take the variant that has it: Debian's is called generic or genericcloud")
        progress(f"warning: {told}")
    return contents
