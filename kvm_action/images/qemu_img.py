"""qemu-img: what a disk file is, whether it is sound, and its conversion. Knows no store."""

import json
import resource
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.errors import ImageError
from kvm_action.images.disk_header import Header, header_of
from kvm_action.images.tools import PRLIMIT, QEMU_IMG, out_of_space, require_all
from kvm_action.shortage import lack_told_by
from kvm_action.units import format_size

LONG = timedelta(minutes=30)
SMALLEST: Final = 1 << 20
LARGEST: Final = 16 << 40
"""ext4 ends there, and so does a plan's machine.disk."""

_MEMORY: Final = 4 << 30
_CHECKED: Final = ("qcow2", "vmdk")
_LEAKS: Final = 3


@dataclass(frozen=True, kw_only=True)
class DiskInfo:
    """What qemu-img says of a disk file, in bytes."""

    format: str
    virtual_bytes: int
    backing_file: str | None
    data_file: str | None
    cluster: int
    """The unit in which a qcow2 file grows. The last one may be written in part: the rest reads as zeros."""


def probe(path: Path) -> DiskInfo:
    """Look at a disk file, as what its header says it is. Raises ImageError when it is no disk, or not there."""
    if not path.is_file():
        raise ImageError(
            f"there is no image file {path}", hint="check the path; `kvm-e2e image list` shows the store"
        )
    done = _qemu_img("info", "--force-share", "--output=json", "-f", _header(path).format or "raw", path)
    if not done.ok:
        raise ImageError(f"{path} cannot be read as a disk image: {done.last_words}", hint=_REPLACE)
    facts = json.loads(done.stdout)
    specific = facts.get("format-specific", {}).get("data", {})
    return DiskInfo(
        format=facts["format"],
        virtual_bytes=facts["virtual-size"],
        backing_file=facts.get("backing-filename"),
        data_file=specific.get("data-file"),
        cluster=facts.get("cluster-size", 0),
    )


def require_sound(path: Path) -> DiskInfo:
    """Probe a disk file that came from outside, and refuse what must not be a base image.

    Raises ImageError for a file that needs other files (a backing file or an external data file could point at
    anything on this host) before any program opens it, and for one that is damaged or was cut short.
    """
    if path.is_file() and (objection := _header(path).objection):
        raise ImageError(f"{path} cannot be an image: {objection}", hint=_hint(path, objection))
    info = probe(path)
    if info.backing_file or info.data_file:
        raise ImageError(f"{path} is not complete in itself", hint=_hint(path, "complete"))
    if not SMALLEST <= info.virtual_bytes <= LARGEST:
        raise ImageError(
            f"{path} says that its disk has {format_size(info.virtual_bytes)}",
            hint=f"an image has from {format_size(SMALLEST)} to {format_size(LARGEST)}",
        )
    if info.format in _CHECKED:
        check(path, info)
    return info


def _header(path: Path) -> Header:
    try:
        return header_of(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}", hint="may this user read it?") from error


def _hint(path: Path, objection: str) -> str:
    if "complete" in objection or "other files" in objection:
        return f"make one file of it where it was made: qemu-img convert -O qcow2 {path.name} whole.qcow2"
    return "an image is a qcow2, raw or vmdk file"


def check(path: Path, info: DiskInfo) -> None:
    """Let qemu-img check a file's tables and extent. Raises ImageError when they are not in order.

    Clusters that nothing refers to do no harm: they are left behind by the conversion.
    """
    done = _qemu_img("check", "--force-share", "--output=json", "-f", info.format, path, timeout=LONG)
    if done.status not in (0, _LEAKS):
        raise ImageError(f"{path} is damaged: {_what_is_wrong(done)}", hint=_REPLACE)
    ends = int(json.loads(done.stdout).get("image-end-offset", 0))
    if ends >= path.stat().st_size + max(info.cluster, 1):
        raise ImageError(
            f"{path} was cut short: its data ends at byte {ends}, the file at {path.stat().st_size}", hint=_REPLACE
        )


def _what_is_wrong(done: proc.Completed) -> str:
    """It says so on standard error when it cannot go on, else as numbers in its document."""
    if done.stderr.strip() or not done.stdout.startswith("{"):
        return done.last_words
    return f"{json.loads(done.stdout).get('corruptions', 0)} entries of its tables are wrong"


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


def flat_bytes(disk: Path, disk_format: str = "qcow2") -> int:
    """How large `flatten` or `convert` may make its file; holes take no room."""
    done = _qemu_img("measure", "--force-share", "--output=json", "-f", disk_format, "-O", "qcow2", disk)
    return int(json.loads(done.stdout)["required"]) if done.ok else 0


def create_empty(disk: Path, virtual_bytes: int) -> None:
    """Make a qcow2 file that reads as zeros. Raises ImageError, HostError."""
    done = _qemu_img("create", "-q", "-f", "qcow2", disk, str(virtual_bytes))
    if not done.ok:
        if full := out_of_space(done.stderr, disk.parent):
            raise full
        raise ImageError(f"no empty disk could be made: {done.last_words}")


def create_overlay(base: Path, overlay: Path, virtual_bytes: int, base_format: str = "") -> None:
    """Make a qcow2 file that takes the writes in front of ``base``. Raises ImageError, HostError.

    Unless ``base_format`` is given, as for a disk that we made, the file is looked at.
    """
    base_format = base_format or probe(base).format
    done = _qemu_img(
        *("create", "-q", "-f", "qcow2", "-b", base.absolute(), "-F", base_format, overlay, str(virtual_bytes))
    )
    if not done.ok:
        if full := out_of_space(done.stderr, overlay.parent):
            raise full
        raise ImageError(f"no overlay on {base} could be made: {done.last_words}")


def _qemu_img(*arguments: str | Path, timeout: timedelta = timedelta(minutes=1)) -> proc.Completed:
    """Run it, without more memory than any sound file makes it need: a crafted one can ask for a lot.

    Raises HostError when this process has less than that to give.
    """
    require_all([QEMU_IMG, PRLIMIT])
    allowed = resource.getrlimit(resource.RLIMIT_AS)[1]  # which nobody can raise
    memory = _MEMORY if allowed == resource.RLIM_INFINITY else min(allowed, _MEMORY)
    done = proc.run(["prlimit", f"--as={memory}", "--", "qemu-img", *arguments], timeout=timeout)
    if memory < _MEMORY and not done.ok and (lack := lack_told_by(done.stderr)):
        raise lack
    return done


_REPLACE = "fetch or build it again; `kvm-e2e image build debian-13` makes a fresh one"
