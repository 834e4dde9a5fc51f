"""The connection to a Docker daemon of this host, and its errors in our words."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, NotFound

from kvm_action.containers.where import address
from kvm_action.errors import GuestConnectionError, HostError

_CALL: Final = timedelta(seconds=60)
_LONG: Final = timedelta(minutes=20)
_OF_SOCKET: Final = re.compile(r"Error\(\d+, '([^']+)'\)")
"""In what requests says of a broken connection: ``('Connection aborted.', ConnectionRefusedError(111, '…'))``."""
"""For what moves a whole image."""

SAYS_NO: Final = (DockerException, OSError)
"""What the SDK raises; the errors of its connection (requests) are OSErrors."""
GONE: Final = NotFound


@dataclass(frozen=True)
class Engine:
    """An open connection. ``api`` is the SDK's own client, for this package alone."""

    api: docker.APIClient
    address: str
    version: str
    storage: str
    cpus: int

    @property
    def name(self) -> str:
        """For a report and for the fingerprint of a testbed."""
        return f"Docker {self.version}, {self.storage}"


@contextmanager
def open_engine(environ: Mapping[str, str] = os.environ) -> Iterator[Engine]:
    """Connect to the daemon. Raises HostError when it is not installed, not running, or not ours to use."""
    where = address(environ)
    try:
        api = docker.APIClient(base_url=where, version="auto", timeout=_CALL.total_seconds())
        facts = api.info()
    except SAYS_NO as error:
        raise unreachable(where, error) from error
    try:
        yield Engine(api, where, str(facts["ServerVersion"]), str(facts["Driver"]), int(facts["NCPU"]))
    finally:
        api.close()


def unreachable(where: str, error: Exception) -> HostError:
    """Why no daemon answers, as far as its socket tells."""
    path = Path(where.removeprefix("unix://"))
    if not path.exists():
        return HostError(
            f"Docker is not running here: there is no {path}",
            "sudo systemctl start docker; if it is not installed: sudo apt-get install -y docker.io",
        )
    if not os.access(path, os.W_OK):
        return HostError(
            f"Docker may not be used by this user: no permission for {path}",
            "sudo usermod -aG docker $USER, then log in again (members of that group are as good as root)",
        )
    return HostError(f"Docker does not answer at {path}: {words_of(error)}", "sudo systemctl restart docker")


def words_of(error: Exception) -> str:
    """What the daemon said, in one line."""
    said = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    if of_socket := _OF_SOCKET.search(str(said)):
        return f"its daemon does not answer ({of_socket[1]})"
    return " ".join(str(said).split())[:300]


@contextmanager
def told(doing: str, *, hint: str = "") -> Iterator[None]:
    """Turn the SDK's errors into a HostError that says what was being done."""
    try:
        yield
    except SAYS_NO as error:
        raise HostError(f"Docker could not {doing}: {words_of(error)}", hint) from error


@contextmanager
def in_use() -> Iterator[None]:
    """Turn the SDK's errors while a container is being used into a GuestConnectionError."""
    try:
        yield
    except SAYS_NO as error:
        raise GuestConnectionError(f"the container does not answer: {words_of(error)}") from error


def with_patience(engine: Engine, act: Callable[[docker.APIClient], Any]) -> Any:
    """Do something that may take minutes."""
    before, engine.api.timeout = engine.api.timeout, _LONG.total_seconds()
    try:
        return act(engine.api)
    finally:
        engine.api.timeout = before
