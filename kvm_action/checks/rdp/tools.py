"""The programs of this host that a session needs."""

import platform
import shutil
from dataclasses import dataclass
from typing import Final

XVFB: Final = ("Xvfb",)
FREERDP: Final = ("xfreerdp", "xfreerdp3")
SETPRIV: Final = ("setpriv",)

_OLD_FREERDP: Final = {("debian", "12"), ("ubuntu", "22.04")}
"""Systems whose archives have the second FreeRDP, not the third."""


@dataclass(frozen=True)
class Tools:
    """Where they are; empty for one that is missing."""

    xvfb: str
    freerdp: str
    setpriv: str

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that are not there."""
        found = {"Xvfb": self.xvfb, "xfreerdp": self.freerdp, "setpriv": self.setpriv}
        return tuple(name for name, path in found.items() if not path)

    @property
    def how_to_install(self) -> str:
        """What is missing and the command that mends it, as a sentence."""
        packages = " ".join(_package(name) for name in self.missing)
        return f"this host lacks {' and '.join(self.missing)}: `sudo apt-get install -y {packages}`"

    def mortal(self, program: str, by: str = "KILL") -> tuple[str, ...]:
        """The begin of a command line with ``program``, which gets the signal ``by`` when we die, in any way."""
        return (self.setpriv, "--pdeathsig", by, program)


def find_tools() -> Tools:
    """Look for them in PATH."""
    return Tools(_first(XVFB), _first(FREERDP), _first(SETPRIV))


def _package(program: str) -> str:
    """The package of this host's system that has a program."""
    if program != "xfreerdp":
        return {"Xvfb": "xvfb", "setpriv": "util-linux"}[program]
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    is_old = (system.get("ID", ""), system.get("VERSION_ID", "")) in _OLD_FREERDP
    return "freerdp2-x11" if is_old else "freerdp3-x11"


def _first(names: tuple[str, ...]) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")
