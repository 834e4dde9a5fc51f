"""Reading the headers of a hostile tar stream: they cost a bounded part of our memory, whatever they claim.

Python's tarfile reads extending headers and the maps of sparse files whole, and keeps every header it has seen.
"""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from tarfile import TarFile, TarInfo
from typing import Final, Protocol, cast

DAMAGED: Final = (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError)
"""What tarfile raises for a stream that is none, or is cut off."""
_HEADER_LIMIT: Final = 1 << 16
_EXTENDED: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"X")
_HEADERS_OF_ONE: Final = 8
"""Headers that an honest file has at most: a long name, a long link, extensions, and its own."""
_READS_AT_END: Final = 16
"""Reads at the end of a stream; more of them skip a file that is not there, and Python would go on for ever."""


class Readable(Protocol):
    """Where a stream comes from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class TooMuchError(Exception):
    """The rest of the stream is not worth reading; the text says why."""


class BoundedTar(TarFile):
    """An archive that forgets its headers: read each file before the next one, and none by its name."""

    headers = 0
    """Those that were read of the file at hand."""

    def next(self) -> TarInfo | None:
        """The next file, None after the last. Raises one of `DAMAGED`, or TooMuchError."""
        info = super().next()
        self.members.clear()  # type: ignore[attr-defined]  # it would keep them all
        cast(dict[str, str], self.pax_headers).clear()  # a global header's words hold for one file
        return info


def open_bounded(stream: Readable, most: int) -> BoundedTar:
    """Begin to read a stream of at most ``most`` bytes. Raises one of `DAMAGED`, or TooMuchError."""
    counted = _Counted(stream, most)
    return BoundedTar.open(fileobj=counted, mode="r|", tarinfo=_Bounded)  # type: ignore[call-overload, no-any-return]  # only read() is needed


@dataclass
class _Counted:
    """A stream that ends for good when it is longer than what it may carry, whatever its headers claim."""

    stream: Readable
    left: int
    _ends: int = 0

    def read(self, size: int, /) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise TooMuchError("the copy ended early: the stream is much longer than its files")
        self._ends += not data
        if self._ends > _READS_AT_END:
            raise EOFError("it breaks off")
        return data


def _refuse_sparse(*_header: object) -> None:
    raise TooMuchError(
        "the copy ended early: the stream has a file in the form for files with holes, which is not read"
    )


class _Bounded(TarInfo):
    """Headers that extend others are read whole into memory: refuse large, many and sparse ones before that."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Bounded":
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _EXTENDED and info.size > _HEADER_LIMIT):
            raise TooMuchError("the copy ended early: a header in the stream is absurdly large")
        if info.type == tarfile.GNUTYPE_SPARSE:
            _refuse_sparse()
        return info

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> "_Bounded":
        """Each header that extends others calls this for the one that follows, while it is still in memory."""
        archive = cast(BoundedTar, tarfile)
        archive.headers += 1
        try:
            if archive.headers > _HEADERS_OF_ONE:
                raise TooMuchError("the copy ended early: a file in the stream has headers without end")
            return super().fromtarfile(tarfile)
        finally:
            archive.headers -= 1

    # Called by tarfile (3.11 to 3.14, with other arguments) for the maps in or after a pax header.
    _proc_gnusparse_00: Callable[..., None] = _refuse_sparse
    _proc_gnusparse_01: Callable[..., None] = _refuse_sparse
    _proc_gnusparse_10: Callable[..., None] = _refuse_sparse
