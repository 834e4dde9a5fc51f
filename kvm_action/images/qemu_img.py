"""qemu-img: what a disk file is, whether it is sound, and its conversion. Knows no store."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.errors import ImageError
from kvm_action.images.tools import QEMU_IMG, out_of_space

LONG = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class DiskInfo:
    """What qemu-img says of a disk file, in bytes."""

    format: str
    virtual_bytes: int
    backing_file: str | None
    data_file: str | None


def probe(path: Path) -> DiskInfo:
    """Look at a disk file. Raises ImageError when it is not there or cannot be read as a disk."""
    if not path.is_file():
        raise ImageError(
            f"there is no image file {path}", hint="check the path; `kvm-e2e image list` shows the store"
        )
    done = _qemu_img("info", "--force-share", "--output=json", path)
    if not done.ok:
        raise ImageError(f"{path} cannot be read as a disk image: {done.last_words}", hint=_REPLACE)
    facts = json.loads(done.stdout)
    specific = facts.get("format-specific", {}).get("data", {})
    return DiskInfo(
        format=facts["format"],
        virtual_bytes=facts["virtual-size"],
        backing_file=facts.get("backing-filename"),
        data_file=specific.get("data-file"),
    )


def require_sound(path: Path) -> DiskInfo:
    """Probe a disk file that came from outside, and refuse what must not be a base image.

    Raises ImageError for a file that needs other files (a backing file or an external data file could point at
    anything on this host), and for one that is damaged or was cut short.
    """
    info = probe(path)
    if needed := info.backing_file or info.data_file:
        raise ImageError(
            f"{path} is not complete in itself: it needs {needed}",
            hint=f"make one file of it: qemu-img convert -O qcow2 {path} whole.qcow2",
        )
    if info.format == "qcow2":
        check(path)
    return info


_CLUSTER: Final = 1 << 16
"""qcow2's usual cluster. The last one may be written in part: the rest of it reads as zeros."""


def check(path: Path) -> None:
    """Let qemu-img check a qcow2 file's tables and extent. Raises ImageError when they are not in order."""
    done = _qemu_img("check", "--force-share", "-q", "-f", "qcow2", path, timeout=LONG)
    if not done.ok:
        raise ImageError(f"{path} is damaged: {done.last_words}", hint=_REPLACE)
    if (ends := _end_of_data(path)) >= path.stat().st_size + _CLUSTER:
        raise ImageError(
            f"{path} was cut short: its data ends at byte {ends}, the file at {path.stat().st_size}", hint=_REPLACE
        )


def convert(source: Path, source_format: str, target: Path, target_format: str = "qcow2") -> None:
    """Write ``source`` as an uncompressed file without holes' contents. Raises ImageError, HostError."""
    done = _qemu_img("convert", "-f", source_format, "-O", target_format, source, target, timeout=LONG)
    if not done.ok:
        if full := out_of_space(done.stderr, target.parent):
            raise full
        raise ImageError(f"{source} could not be converted to {target_format}: {done.last_words}", hint=_REPLACE)


def flatten(overlay: Path, target: Path) -> None:
    """Write a disk and all that it stands on as one file. A paused machine may have it open.

    Internal snapshots are left out. Raises ImageError, HostError.
    """
    done = _qemu_img(
        *("convert", "--force-share", "-f", "qcow2", "-O", "qcow2", "-W", overlay, target), timeout=LONG
    )
    if not done.ok:
        if full := out_of_space(done.stderr, target.parent):
            raise full
        raise ImageError(f"{overlay} could not be copied: {done.last_words}")


def flat_bytes(overlay: Path) -> int:
    """How large `flatten` may make its file."""
    done = _qemu_img("measure", "--force-share", "--output=json", "-f", "qcow2", "-O", "qcow2", overlay)
    return int(json.loads(done.stdout)["required"]) if done.ok else 0


def create_overlay(base: Path, overlay: Path, virtual_bytes: int) -> None:
    """Make a qcow2 file that takes the writes in front of ``base``. Raises ImageError, HostError."""
    base_format = probe(base).format
    done = _qemu_img(
        *("create", "-q", "-f", "qcow2", "-b", base.absolute(), "-F", base_format, overlay, str(virtual_bytes))
    )
    if not done.ok:
        if full := out_of_space(done.stderr, overlay.parent):
            raise full
        raise ImageError(f"no overlay on {base} could be made: {done.last_words}")


def _end_of_data(path: Path) -> int:
    done = _qemu_img("check", "--force-share", "--output=json", "-f", "qcow2", path, timeout=LONG)
    return int(json.loads(done.stdout).get("image-end-offset", 0)) if done.ok else 0


def _qemu_img(*arguments: str | Path, timeout: timedelta = timedelta(minutes=1)) -> proc.Completed:
    QEMU_IMG.require()
    return proc.run(["qemu-img", *arguments], timeout=timeout)


_REPLACE = "fetch or build it again; `kvm-e2e image build debian-13` makes a fresh one"
