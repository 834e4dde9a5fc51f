"""Checksums as publishers write them: one, or a list for many files; and the proof that a file has one."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import ImageError, PlanError

_BY_LENGTH: Final = {64: "sha256", 128: "sha512"}
_GNU: Final = re.compile(r"\\?(?P<digits>[0-9a-fA-F]{64,128})\s+\*?(?P<name>\S.*)")
_BSD: Final = re.compile(r"SHA(256|512) \((?P<name>.+)\) = (?P<digits>[0-9a-fA-F]{64,128})")
_SHOWN: Final = 5


@dataclass(frozen=True)
class Checksum:
    """The algorithm's name, and the hexadecimal digits in lower case."""

    algorithm: str
    digits: str

    def __str__(self) -> str:
        """As OCI and others write it: ``sha256:…``."""
        return f"{self.algorithm}:{self.digits}"


def parse(text: str) -> Checksum:
    """The checksum that a user wrote: hexadecimal digits of SHA-256 or SHA-512. Raises PlanError."""
    digits = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) not in _BY_LENGTH:
        raise PlanError(
            f"{text!r} is no checksum",
            hint="give the 64 hexadecimal digits of a SHA-256 (or 128 of a SHA-512) that the publisher states",
        )
    return Checksum(_BY_LENGTH[len(digits)], digits)


def listed(text: str) -> dict[str, set[Checksum]]:
    """The checksums in a SHA256SUMS or SHA512SUMS file, by file name without folder; other lines are left out."""
    found: dict[str, set[Checksum]] = {}
    for line in text.splitlines():
        row = _GNU.fullmatch(line.strip()) or _BSD.fullmatch(line.strip())
        if row and (algorithm := _BY_LENGTH.get(len(row["digits"]))):
            name = row["name"].rpartition("/")[2]
            found.setdefault(name, set()).add(Checksum(algorithm, row["digits"].lower()))
    return found


def of_file(text: str, name: str, source: str) -> Checksum:
    """The checksum that the list ``text`` from ``source`` states for the file ``name``. Raises ImageError."""
    every = listed(text)
    if not every:
        raise ImageError(
            f"{source} is no list of checksums", hint="it should be a SHA256SUMS or SHA512SUMS file: look at it"
        )
    if name not in every:
        there = ", ".join(sorted(every)[:_SHOWN]) + (", …" if len(every) > _SHOWN else "")
        raise ImageError(f"{source} has no checksum of {name}", hint=f"it lists: {there}")
    if len(every[name]) > 1:
        raise ImageError(f"{source} states several checksums for {name}", hint="give the right one with --sha256")
    return next(iter(every[name]))


def require(path: Path, expected: Checksum, shown: str = "") -> None:
    """Raise ImageError unless the file has this checksum; ``shown`` is what the message calls it."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, expected.algorithm).hexdigest()
    if found != expected.digits:
        raise ImageError(
            f"{shown or path} is not the file that was promised: {expected.algorithm} {found}, "
            f"expected {expected.digits}",
            hint="compare it with the publisher's checksum; a download that broke off has another one too",
        )
