"""Where this host's Docker daemon listens. Apart from `engine`, because the SDK is slow to import."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError

_SOCKET: Final = "unix:///var/run/docker.sock"


def address(environ: Mapping[str, str] = os.environ) -> str:
    """``DOCKER_HOST``, a daemon of the user's own, or the system's. Raises HostError for one on another host."""
    own = Path(environ.get("XDG_RUNTIME_DIR") or "/nonexistent") / "docker.sock"
    chosen = environ.get("DOCKER_HOST") or (f"unix://{own}" if own.exists() else _SOCKET)
    if not chosen.startswith("unix://"):
        raise HostError(
            f"DOCKER_HOST is {chosen}, and a container is measured on this host only",
            "unset it, or point it to a socket here: unix:///var/run/docker.sock",
        )
    return chosen


def socket_of(environ: Mapping[str, str] = os.environ) -> Path:
    """The daemon's socket, whether it is there or not. Raises HostError as `address` does."""
    return Path(address(environ).removeprefix("unix://"))
