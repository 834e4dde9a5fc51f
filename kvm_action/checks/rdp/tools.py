"""The programs of this host that a session needs."""

import shutil
from dataclasses import dataclass
from typing import Final

XVFB: Final = ("Xvfb",)
FREERDP: Final = ("xfreerdp", "xfreerdp3")
SETPRIV: Final = ("setpriv",)

INSTALL: Final = "sudo apt-get install -y xvfb freerdp2-x11"
INSTALL_NEWER: Final = "freerdp3-x11 since Debian 13"


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
        return f"this host lacks {' and '.join(self.missing)}: `{INSTALL}` ({INSTALL_NEWER})"

    def mortal(self, program: str, by: str = "KILL") -> tuple[str, ...]:
        """The begin of a command line with ``program``, which gets the signal ``by`` when we die, in any way."""
        return (self.setpriv, "--pdeathsig", by, program)


def find_tools() -> Tools:
    """Look for them in PATH."""
    return Tools(_first(XVFB), _first(FREERDP), _first(SETPRIV))


def _first(names: tuple[str, ...]) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")
