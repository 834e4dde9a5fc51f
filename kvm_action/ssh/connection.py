"""Reaching a guest that is still booting: try, tell what is temporary from what is final, try again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import GuestConnectionError
from kvm_action.patience import stretched
from kvm_action.reach import Address
from kvm_action.ssh.link import PATIENCE, PROBE_AFTER, Link
from kvm_action.ssh.session import Login, Session
from kvm_action.ssh.transport import (
    BROKEN,
    HostKeyMismatchError,
    LoginRefusedError,
    Wire,
    handshake,
    log_in,
    open_wire,
)
from kvm_action.units import format_seconds
from kvm_action.wait import Deadline, pause

OnMilestone = Callable[[str], None]
"""Called with ``port_open`` when the server first says something, and with ``ssh_authenticated``."""

_AGAIN: Final = 0.2
_AFTER_REFUSAL: Final = (1.0, 2.0, 5.0)
"""Seconds between refused logins. OpenSSH 9.8 locks an address out that earns more than one penalty in 5 s."""
_BANNERS: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait for the greeting, from one attempt to the next. A port that QEMU forwards accepts long before
the guest is there, and that connection stays dead; but an emulated guest may need seconds for a greeting."""


def _nobody(_milestone: str) -> None:
    """Listens to no milestones."""


@contextmanager
def connect(
    address: Address,
    *,
    user: str,
    private_key: str,
    host_key: str,
    deadline: Deadline,
    access_folder: Path,
    on_milestone: OnMilestone = _nobody,
) -> Iterator[Session]:
    """An authenticated session, closed at the end.

    Waits for the port and for the login to become possible, until the deadline. ``host_key`` is the guest's
    public key, as `KeyPair.public`; any other key ends it at once. `Session.ssh_access` writes into
    ``access_folder``. Raises GuestConnectionError, which says what the last attempt met.
    """
    login = Login(address, user, private_key, host_key, access_folder)
    session = Session(login, open_link(login, deadline, on_milestone), lambda again: open_link(login, again))
    try:
        yield session
    finally:
        session.close()


def open_link(login: Login, deadline: Deadline, on_milestone: OnMilestone = _nobody) -> Link:
    """A connection that is authenticated and watched. Raises GuestConnectionError."""
    attempts = _Attempts(login, deadline, on_milestone)
    while not (link := attempts.once()):
        if deadline.passed:
            raise attempts.failure()
        pause(attempts.pause, deadline)
    link.watch()
    return link


@dataclass
class _Attempts:
    """What has been tried, and what came of it."""

    login: Login
    deadline: Deadline
    on_milestone: OnMilestone
    silent: int = 0
    refusals: int = 0
    greeted: bool = False
    last: str = "there was no time to try"

    @property
    def pause(self) -> float:
        """Seconds before the next attempt."""
        return _AFTER_REFUSAL[min(self.refusals, len(_AFTER_REFUSAL)) - 1] if self.refusals else _AGAIN

    def once(self) -> Link | None:
        """One attempt; None when another may end better. Raises GuestConnectionError when it cannot."""
        try:
            wire = open_wire(self.login.address, self.deadline)
        except OSError as error:
            self.last = f"the port does not answer ({error.strerror or error})"
            return None
        try:
            return self._log_in(wire)
        except HostKeyMismatchError as found:
            raise self._other_machine(str(found)) from found
        except LoginRefusedError as error:
            self.refusals += 1
            self.last = f"its SSH server refused user {self.login.user} {self.refusals} times ({error})"
        except BROKEN as error:
            self.silent += not wire.greeted
            self.last = f"the port answers, but not as a working SSH server ({error})"
        finally:
            self._note_greeting(wire)
        return None

    def _log_in(self, wire: Wire) -> Link:
        banner = _BANNERS[min(self.silent, len(_BANNERS) - 1)]
        transport = handshake(wire, self.login.host_key, banner, self.deadline)
        self._note_greeting(wire)
        try:
            log_in(transport, self.login.user, self.login.private_key, self.deadline)
        except BaseException:
            transport.close()
            raise
        self.on_milestone("ssh_authenticated")
        return Link(transport, wire, PROBE_AFTER, stretched(PATIENCE))

    def _note_greeting(self, wire: Wire) -> None:
        if wire.greeted and not self.greeted:
            self.greeted = True
            self.on_milestone("port_open")

    def _other_machine(self, fingerprint: str) -> GuestConnectionError:
        return GuestConnectionError(
            f"the machine that answers at {self.login.address} is not our guest: its host key is {fingerprint}",
            hint="another program took the port, or cloud-init in the guest did not install the seed's host key",
        )

    def failure(self) -> GuestConnectionError:
        """Why there is no connection at the deadline."""
        allowed = format_seconds(self.deadline.allowed.total_seconds())
        hint = (
            f"cloud-init did not create {self.login.user} or its key; see console.log"
            if self.refusals
            else "see console.log for how far the guest came"
        )
        return GuestConnectionError(f"no SSH session with the guest within {allowed}: {self.last}", hint)
