"""FreeRDP as a program: started with a password that no command line shows, and its end put in plain words."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.checks.rdp.screen import HEIGHT, WIDTH
from kvm_action.checks.rdp.tools import Tools
from kvm_action.text import plain_line

_PATIENCE: Final = 60_000
"""Milliseconds that the server may take to answer; FreeRDP's own nine seconds are short for an emulated guest."""
_ERROR: Final = re.compile(r"\b(?:ERRCONNECT|ERRINFO)_(\w+)")
_LOGGED: Final = re.compile(r"^\[[\d:]+\] \[\d+:\w+\] \[(?:ERROR|FATAL)\]\[([\w.]+)\] - (.*)$", re.MULTILINE)

_BROKEN: Final = "the server broke the connection during the login, as some do when user or password is wrong"

REASONS: Final = {
    "LOGON_FAILURE": "the server refused user and password",
    "WRONG_PASSWORD": "the server refused the password",
    "AUTHENTICATION_FAILED": "the server refused user and password",
    "NO_OR_MISSING_CREDENTIALS": "the server wants other credentials than user and password",
    "ACCOUNT_LOCKED_OUT": "the account is locked",
    "ACCOUNT_DISABLED": "the account is disabled",
    "ACCOUNT_EXPIRED": "the account has expired",
    "ACCOUNT_RESTRICTION": "the account may not log in this way",
    "PASSWORD_EXPIRED": "the password has expired",
    "PASSWORD_CERTAINLY_EXPIRED": "the password has expired",
    "PASSWORD_MUST_CHANGE": "the password has to be changed at the first login",
    "LOGON_TYPE_NOT_GRANTED": "the user may not log in by RDP",
    "ACCESS_DENIED": "the server denies access to the user",
    "INSUFFICIENT_PRIVILEGES": "the user may not log in by RDP",
    "SERVER_INSUFFICIENT_PRIVILEGES": "the user may not log in by RDP",
    "SECURITY_NEGO_CONNECT_FAILED": "client and server found no security protocol that both take",
    "TLS_CONNECT_FAILED": "the TLS handshake failed",
    "CONNECT_TRANSPORT_FAILED": _BROKEN,
    "CONNECT_FAILED": _BROKEN,
    "LOGOFF_BY_USER": "the server ended the session",
    "RPC_INITIATED_DISCONNECT": "the server ended the session",
    "RPC_INITIATED_LOGOFF": "the server ended the session",
    "RPC_INITIATED_DISCONNECT_BY_USER": "the server ended the session",
    "DISCONNECTED_BY_OTHER_CONNECTION": "another login took the session over",
    "SERVER_DENIED_CONNECTION": "the server denied the connection",
    "OUT_OF_MEMORY": "the server has no memory left",
}
"""FreeRDP's names of errors ([MS-RDPBCGR] 2.2.5.1.1 and its own) in plain words."""

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - POSIX shared memory is there
"""Where FreeRDP leaves a few bytes for each of its windows, named by its process."""

_TRACES: Final = "com.freerdp.utils"
"""Where it logs that we ended it."""


@dataclass(frozen=True)
class Login:
    """Who logs in."""

    user: str
    password: str


@dataclass(frozen=True)
class Client:
    """A client that was started."""

    process: proc.Process
    log: Path

    @property
    def has_ended(self) -> bool:
        """By itself, as far as is known."""
        return self.process.poll() is not None

    def reason(self) -> str:
        """Why it ended, as a sentence."""
        return reason_in(self.log.read_text(errors="replace"), self.process.poll() or 0)


def arguments(tools: Tools, socket: Path, user: str) -> list[str | Path]:
    """The command line. The certificate was looked at before; through our SSH nobody stands between."""
    return [
        *tools.mortal(tools.freerdp),
        *(f"/v:{socket}", f"/u:{user}", "/from-stdin:force", "/cert:ignore"),
        *(f"/size:{WIDTH}x{HEIGHT}", "/bpp:24", "-clipboard", f"/timeout:{_PATIENCE}"),
    ]


@contextmanager
def client(tools: Tools, socket: Path, login: Login, environment: Mapping[str, str]) -> Iterator[Client]:
    """A client that logs in through ``socket``, ended with the context. Raises HostError."""
    place = socket.parent
    log = place / "freerdp.log"
    at_home = {"HOME": str(place), "XDG_CONFIG_HOME": str(place), "LC_ALL": "C.UTF-8", **environment}
    with log.open("wb") as out:
        process = proc.start(
            arguments(tools, socket, login.user),
            environment=at_home,
            stdin=proc.PIPE,
            stdout=out,
            stderr=out,
        )
    try:
        _tell(process, login.password)
        yield Client(process, log)
    finally:
        proc.kill_group(process)  # it has nothing to save, and takes leave of no server
        for left in _SHARED_MEMORY.glob(f"com.freerdp.*.tsmf_{process.pid:016X}"):
            left.unlink(missing_ok=True)


def _tell(process: proc.Process, password: str) -> None:
    with suppress(BrokenPipeError):  # it has ended already; its log says why
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        with process.stdin as pipe:
            pipe.write(password.encode() + b"\n")


def reason_in(log: str, status: int) -> str:
    """Why a client ended, by what it logged, as a sentence without a full stop."""
    for name in reversed(_ERROR.findall(log)):
        if sentence := REASONS.get(name):
            return f"{sentence} ({name})"
    if known := _ERROR.findall(log):
        return f"FreeRDP gave up: {plain_line(known[-1], 80)}"
    said = [text for module, text in _LOGGED.findall(log) if module != _TRACES]
    return f"FreeRDP ended with status {status}" + (f": {plain_line(said[-1], 200)}" if said else "")
