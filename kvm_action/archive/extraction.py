"""Taking a hostile tar stream apart: only plain files and inner links, below one folder, up to limits.

Not `TarFile.extractall`: Python 3.11.2 has no filters, and a filter neither counts bytes nor stops a bomb.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tarfile import TarFile, TarInfo
from typing import IO, Final

from kvm_action.archive.bounded import DAMAGED, Readable, TooMuchError, open_bounded
from kvm_action.errors import HostError
from kvm_action.guest import Received
from kvm_action.text import shorten
from kvm_action.units import format_size

_OVERHEAD: Final = 4096
"""Bytes of headers and padding that an honest entry needs at most."""
_NOTES: Final = 20
_NAME: Final = 200
"""Characters of a name in a note."""
_PATH_LIMIT: Final = 4096
"""Linux takes no longer path."""
_DEEPEST: Final = 100
"""Folders in one another, with the file: whoever walks the copy later may do so by recursion."""
_PIECE: Final = 1 << 20
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Limits:
    """What is taken at most: ``bytes`` of content, ``entries`` of any kind, and as many folders for them."""

    bytes: int
    entries: int = 10_000


def extract(stream: Readable, into: Path, limits: Limits) -> Received:
    """Write a tar stream's files below ``into``, which is made when missing.

    Names become relative; a file that exists is never overwritten; modes lose everything but the owner's
    write and all execute bits. Left out with a note: ``..``, names that are not printable text or more
    than 100 folders deep, devices, pipes, hard links, links that lead out. A limit, damage, or a file in the form
    for files with holes ends it early, with a note. Raises HostError when the disk is full.
    """
    into.mkdir(parents=True, exist_ok=True)
    extraction = _Extraction(into.resolve(), limits)
    with extraction.noting_its_end(), open_bounded(stream, limits.bytes + limits.entries * _OVERHEAD) as archive:
        extraction.take_all(archive)
    extraction.make_links()
    return extraction.received()


@dataclass
class _Extraction:
    into: Path
    limits: Limits
    _entries: int = 0
    _folders: int = 0
    _bytes: int = 0
    _links: dict[PurePosixPath, str] = field(default_factory=dict)
    _paths: list[Path] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _more: int = 0

    @contextmanager
    def noting_its_end(self) -> Iterator[None]:
        """What ends the copy early becomes a note."""
        try:
            yield
        except TooMuchError as reason:
            self.note(str(reason))
        except DAMAGED as error:
            self.note(f"the copy ended early: the stream is damaged ({error})")

    def take_all(self, archive: TarFile) -> None:
        for member in archive:
            self._entries += 1
            if self._entries > self.limits.entries:
                raise TooMuchError(f"only the first {self.limits.entries} files were copied")
            self._take(archive, member)

    def _take(self, archive: TarFile, member: TarInfo) -> None:
        if member.size < 0:
            raise TooMuchError("the copy ended early: the stream is damaged (a negative size)")
        name = _relative(member.name)
        if name is None:
            self.note(f"{shorten(repr(member.name[:_NAME]), _NAME)}: left out, its name is not safe here")
        elif member.isreg() and not member.issparse():
            self._take_file(archive, member, name)
        elif member.issym() and len(member.linkname) <= _PATH_LIMIT:
            self._links.setdefault(name, member.linkname)
        elif not member.isdir():
            self.note(f"{name}: left out, it is neither a file nor a link")

    def _take_file(self, archive: TarFile, member: TarInfo, name: PurePosixPath) -> None:
        if self._bytes + member.size > self.limits.bytes:
            raise TooMuchError(
                f"{name} ({format_size(member.size)}) and everything larger was left out:"
                f" the limit is {format_size(self.limits.bytes)}"
            )
        self._bytes += member.size
        try:
            self._copy(archive.extractfile(member), self._create(name, member.mode))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HostError(
                    f"no space left on the host for {name}", hint="free space, or use `--out`"
                ) from error
            self.note(f"{name}: left out, {error.strerror}")
            return
        self._paths.append(self.into / name)

    def _copy(self, content: IO[bytes] | None, new: int) -> None:
        with os.fdopen(new, "wb") as file:
            while content and (piece := content.read(_PIECE)):
                file.write(piece)

    def _create(self, name: PurePosixPath, mode: int) -> int:
        return os.open(self._below(name), _NEW_FILE, 0o600 | mode & 0o155)

    def _below(self, name: PurePosixPath) -> Path:
        """The path for ``name``; its folders are made, and are folders, not links to some."""
        folder = self.into
        for part in name.parts[:-1]:
            folder /= part
            self._enter(folder)
        return folder / name.name

    def _enter(self, folder: Path) -> None:
        try:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "a file stands where its folder should be")
        except FileNotFoundError:
            self._folders += 1
            if self._folders > self.limits.entries:
                raise TooMuchError(f"only files in the first {self.limits.entries} folders were copied") from None
            folder.mkdir()

    def make_links(self) -> None:
        """Links come last, so that nothing is ever written through one; those that lead out go again."""
        made: list[Path] = []
        with self.noting_its_end():
            for link in self._links.items():
                made += filter(None, [self._make_link(*link)])
        for path in made:
            if self._leads_inside(path):
                self._paths.append(path)
            else:
                path.unlink()
                self.note(f"{path.relative_to(self.into)}: left out, a link to something that was not copied")

    def _leads_inside(self, link: Path) -> bool:
        try:
            return link.resolve(strict=True).is_relative_to(self.into)
        except (OSError, RuntimeError):  # nothing there; a loop is a RuntimeError before Python 3.13
            return False

    def _make_link(self, name: PurePosixPath, target: str) -> Path | None:
        try:
            path = self._below(name)
            path.symlink_to(target)
        except (OSError, ValueError) as error:
            self.note(f"{name}: left out, {error}")
            return None
        return path

    def note(self, text: str) -> None:
        if len(self._notes) < _NOTES:
            self._notes.append(text)
        else:
            self._more += 1

    def received(self) -> Received:
        notes = [*self._notes, f"and {self._more} more"] if self._more else self._notes
        return Received(tuple(sorted(self._paths)), tuple(notes))


def _relative(name: str) -> PurePosixPath | None:
    """``name`` without its leading slash, or None when it cannot be used."""
    path = PurePosixPath(name.lstrip("/"))
    if not 0 < len(path.parts) <= _DEEPEST or ".." in path.parts:
        return None
    return path if name.isprintable() and len(name) <= _PATH_LIMIT else None
