"""A screen that nobody sees: Xvfb, for one program of ours, read through its frame buffer."""

import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from PIL import Image

from kvm_action import proc
from kvm_action.checks.rdp.picture import NoPictureError, read_xwd
from kvm_action.checks.rdp.tools import Tools
from kvm_action.errors import HostError
from kvm_action.wait import Deadline, until

WIDTH: Final = 1280
HEIGHT: Final = 800
_START: Final = timedelta(seconds=30)
_GRACE: Final = timedelta(seconds=1)
_ANY_DISPLAY: Final = 0xFFFF
_METHOD: Final = b"MIT-MAGIC-COOKIE-1"


@dataclass(frozen=True)
class Screen:
    """A running one."""

    display: str
    frame: Path
    authority: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """For a program that is to draw on it."""
        return {"DISPLAY": self.display, "XAUTHORITY": str(self.authority)}

    def picture(self) -> Image.Image | None:
        """What is on it now."""
        try:
            return read_xwd(self.frame.read_bytes())
        except (OSError, NoPictureError):
            return None


@contextmanager
def screen(tools: Tools, place: Path) -> Iterator[Screen]:
    """A screen whose files are in ``place``; only who may read those can draw on it. Raises HostError."""
    authority = place / "authority"
    authority.touch(mode=0o600)
    authority.write_bytes(authority_entry(secrets.token_bytes(16)))
    said, complaints = place / "display", place / "xvfb.log"
    line: tuple[str | Path, ...] = (
        *tools.mortal(tools.xvfb, by="TERM"),  # it removes its lock and socket then
        *("-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24"),
        *("-nolisten", "tcp", "-noreset", "-auth", authority, "-fbdir", place),
    )
    with said.open("wb") as out, complaints.open("wb") as err:
        process = proc.start(line, stdout=out, stderr=err)
    try:
        until(lambda: process.poll() is not None or said.read_text().endswith("\n"), Deadline(_START), every=0.05)
        number = said.read_text().strip()
        if not number or process.poll() is not None:
            raise HostError(f"Xvfb did not start: {_last_line(complaints)}", hint="try `Xvfb -displayfd 1`")
        yield Screen(f":{number}", place / "Xvfb_screen0", authority)
    finally:
        proc.end(process, _GRACE)


def authority_entry(cookie: bytes) -> bytes:
    """An entry of an Xauthority file: who knows the cookie may draw, on whatever display (see Xau(3))."""
    parts = (b"", b"", _METHOD, cookie)
    return struct.pack(">H", _ANY_DISPLAY) + b"".join(struct.pack(">H", len(part)) + part for part in parts)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it says nothing"
