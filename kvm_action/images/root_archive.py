"""A disk image's root file system as a tar archive, owners, modes, links and file capabilities kept.

Without root, mount or loop device: sfdisk finds the partition, debugfs writes its files out and names their
owners, which an ordinary user could not give them. Other extended attributes (ACLs) are left out.

A guest may have written its file system byte by byte, with names in it that no kernel makes. So all names are
looked at before one file is written out: by inode numbers, since debugfs reads its commands line by line.
"""

import contextlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import ImageError
from kvm_action.images import debugfs, qemu_img
from kvm_action.images.contents import root_of
from kvm_action.images.model import Image
from kvm_action.images.store import Store
from kvm_action.images.tools import require_space

_ROW: Final = re.compile(r"/(\d+)/(\d+)/(\d+)/(\d+)/([^/]+)/\d*/")
_CAPABILITY: Final = re.compile(r"\s+security\.capability \(\d+\) = ((?:[0-9a-f]{2} )+)")
_EMPTY: Final = re.compile(r"(/0/0*/\d+/\d+/[^/]*/\d*/)?")
"""Not an entry: the line between two answers, or one whose file was removed."""
_NO_FILES: Final = ("lost+found",)
_ROOT: Final = 2
"""The inode of the root folder (Documentation/filesystems/ext4)."""


@dataclass(frozen=True)
class Inode:
    """What the file system says of a file; ``mode`` with its type's bits."""

    number: int
    mode: int
    user: int
    group: int


@contextlib.contextmanager
def root_archive(store: Store, image: Image) -> Iterator[Path]:
    """The archive as a file that is gone with the context. Raises ImageError, HostError."""
    with store.workplace("root") as folder:
        require_space(folder, 3 * image.bytes, f"the files of {image.name}")
        disk, tree, archive = folder / "disk.raw", folder / "tree", folder / "root.tar"
        qemu_img.convert(image.path, image.format, disk, "raw")
        place = root_of(disk)
        tree.mkdir()
        try:
            inodes = _inodes(place)
            debugfs.run(place, [f"rdump / {debugfs.quoted(str(tree))}"])
            _pack(tree, inodes, _capabilities(place, inodes), archive)
        finally:
            _make_removable(tree)
        yield archive


def _inodes(place: str) -> dict[str, Inode]:
    """All files by path, without the leading slash. Raises ImageError when one cannot be written out safely."""
    found: dict[str, Inode] = {}
    folders, seen = {"": _ROOT}, {_ROOT}
    while folders:
        answers = debugfs.run(place, [f"ls -p <{number}>" for number in folders.values()])
        inner = {
            f"{folder}{name}": inode
            for folder, answer in zip(folders, answers, strict=True)
            for name, inode in listed(answer).items()
        }
        found |= inner
        folders = {f"{path}/": each.number for path, each in inner.items() if stat.S_ISDIR(each.mode)}
        if len({*folders.values()}) < len(folders) or not seen.isdisjoint(folders.values()):
            raise ImageError("the root file system is damaged: a folder is in two places")
        seen |= {*folders.values()}
    return found


def _capabilities(place: str, inodes: Mapping[str, Inode]) -> dict[int, bytes]:
    """By inode: what `setcap` gave to a program."""
    numbers = sorted({each.number for each in inodes.values() if stat.S_ISREG(each.mode)})
    answers = debugfs.run(place, [f"ea_list <{number}>" for number in numbers])
    found = {number: capability(answer) for number, answer in zip(numbers, answers, strict=True)}
    return {number: value for number, value in found.items() if value}


def listed(lines: Sequence[str]) -> dict[str, Inode]:
    """The files that debugfs' ``ls -p`` printed, by name, without the folder itself and its parent.

    Raises ImageError for a name that holds a slash or a line end, or that is there twice: what is written out to
    it would be somewhere else.
    """
    found: dict[str, Inode] = {}
    for line in lines:
        if _EMPTY.fullmatch(line):
            continue
        row = _ROW.fullmatch(line)
        if row is None:
            raise ImageError(f"a name in the root file system has a slash or a line end in it: {line!a}")
        number, mode, user, group, name = row.groups()
        if name in found:
            raise ImageError(f"the root file system is damaged: there are two of {name!a} in one folder")
        found[name] = Inode(int(number), int(mode, 8), int(user), int(group))
    return {name: inode for name, inode in found.items() if name not in (".", "..")}


def capability(lines: Sequence[str]) -> bytes:
    """The value of security.capability in what debugfs' ``ea_list`` printed, empty when there is none."""
    found = next(filter(None, (_CAPABILITY.fullmatch(line) for line in lines)), None)
    return bytes.fromhex(found[1]) if found else b""


def _pack(tree: Path, inodes: Mapping[str, Inode], capabilities: Mapping[int, bytes], target: Path) -> None:
    first: dict[int, str] = {}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, inode in sorted(inodes.items()):
            if path.split("/", 1)[0] in _NO_FILES or not os.path.lexists(tree / path):
                continue  # devices: debugfs does not write them out, and a container has its own
            member = archive.gettarinfo(tree / path, arcname=path)
            member.uid, member.gid, member.uname, member.gname = inode.user, inode.group, "", ""
            member.mode = stat.S_IMODE(inode.mode)
            if value := capabilities.get(inode.number):
                text = value.decode("utf-8", "surrogateescape")
                member.pax_headers = {"SCHILY.xattr.security.capability": text}
            if member.isreg() and (known := first.setdefault(inode.number, path)) != path:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, known, 0
            _add(archive, member, tree / path)


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if not member.isreg():
        archive.addfile(member)
        return
    if not os.access(path, os.R_OK):
        path.chmod(0o400)
    with path.open("rb") as content:
        archive.addfile(member, content)


def _make_removable(tree: Path) -> None:
    """Folders that their own user may not write in could not be emptied."""
    for path, _, _ in os.walk(tree):
        with contextlib.suppress(OSError):
            Path(path).chmod(0o700)
