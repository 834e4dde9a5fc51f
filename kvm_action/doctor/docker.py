"""Docker, which only runs in containers need."""

import os
from pathlib import Path
from typing import Final

from kvm_action.doctor.finding import Finding, ok, warning

_FOR: Final = "needed for `--backend docker` and the comparison of `bench` only"


def daemon(socket: Path) -> Finding:
    """Is there a daemon that this user may ask? Without one everything else works."""
    if not socket.exists():
        return ok("Docker", f"not running (no {socket}); {_FOR}")
    if not os.access(socket, os.W_OK):
        mend = "sudo usermod -aG docker $USER   # members of that group are as good as root; then log in again"
        return warning("Docker", f"no permission for {socket}; {_FOR}", mend)
    return ok("Docker", f"its daemon listens at {socket}")
