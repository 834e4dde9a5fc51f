"""Files that are put into a container before it starts, as a tar archive. Pure."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file of root's, or a link when ``link`` is given."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""


def archive(files: Mapping[str, File]) -> bytes:
    """``files`` by their absolute paths; the folders above them must exist already or get mode 0755."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, file in sorted(files.items()):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.mode, member.size = file.mode, len(file.content)
            if file.link:
                member.type, member.linkname = tarfile.SYMTYPE, file.link
            tar.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()
