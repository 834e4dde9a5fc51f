"""cpio archives in the form that an initramfs is made of ("newc"), read as a stream and written whole.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

import stat
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, Protocol

MAGIC: Final = b"070701"
_HEADER: Final = 110
_END: Final = "TRAILER!!!"
_LARGEST: Final = 1 << 30
"""Bytes of one member; whoever says more lies."""


class Readable(Protocol):
    """A stream that is read from its beginning to its end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


def members(stream: Readable) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, in its order, each with its content. Raises ValueError where it is none."""
    while (name := (header := _header(stream))[0]) != _END:
        yield name.removeprefix("./"), _padded(stream, header[1], 0)


def _header(stream: Readable) -> tuple[str, int]:
    fixed = _exactly(stream, _HEADER)
    if not fixed.startswith(MAGIC):
        raise ValueError("it is no cpio archive")
    size, length = int(fixed[54:62], 16), int(fixed[94:102], 16)
    if size > _LARGEST or not 0 < length <= 4096:
        raise ValueError("its cpio archive is damaged")
    return _padded(stream, length, _HEADER)[:-1].decode(errors="replace"), size


def _padded(stream: Readable, size: int, before: int) -> bytes:
    """What is there, without the zeros that fill it up to a multiple of four."""
    content = _exactly(stream, size)
    _exactly(stream, -(size + before) % 4)
    return content


def _exactly(stream: Readable, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("its cpio archive ends too early")
    return data


def archive(files: Mapping[str, bytes], own_folder: str) -> bytes:
    """An archive to be appended to an initramfs. What begins with ``#!`` can be executed.

    Only folders in ``own_folder`` are in it: another one may be a symbolic link in the initramfs before, and
    the kernel would put the folder in the link's place.
    """
    folders = {
        str(parent)
        for path in files
        for parent in PurePosixPath(path).parents
        if parent.is_relative_to(own_folder)
    }
    packed = [_member(folder, b"", stat.S_IFDIR | 0o755) for folder in sorted(folders)]
    packed += [_member(path, content, _mode(content)) for path, content in sorted(files.items())]
    return b"".join([*packed, _member(_END, b"", 0)])


def _mode(content: bytes) -> int:
    return stat.S_IFREG | (0o755 if content.startswith(b"#!") else 0o644)


def _member(name: str, content: bytes, mode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = MAGIC + b"".join(b"%08x" % field for field in fields)
    return _filled(header + encoded) + _filled(content)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
