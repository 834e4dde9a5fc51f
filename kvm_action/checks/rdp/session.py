"""A session as its user sees it: logged in by FreeRDP on a screen of our own, until its picture is there."""

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import Final

from kvm_action.checks.facts import CannotAskError
from kvm_action.checks.rdp import login
from kvm_action.checks.rdp.client import Login, client
from kvm_action.checks.rdp.handshake import Open
from kvm_action.checks.rdp.relay import relay
from kvm_action.checks.rdp.screen import screen
from kvm_action.checks.rdp.tools import Tools
from kvm_action.checks.rdp.watch import Again, Ask, Visit, Watch
from kvm_action.errors import GuestConnectionError
from kvm_action.wait import Deadline, until
from kvm_action.work_folder import scratch

_LOOK: Final = 0.5


@dataclass(frozen=True)
class Surroundings:
    """What a session needs from outside. ``over`` is set when nobody waits for it any more."""

    tools: Tools
    open_port: Open
    ask: Ask
    over: Event


def visit(as_user: Login, server_proves_login: bool, using: Surroundings, deadline: Deadline) -> Visit:
    """Log in and wait for a picture of the session that is not blank and stands still.

    ``server_proves_login``: a client only gets in when its password is right (NLA). Raises CannotAskError and
    E2EError when it cannot be tried.
    """
    before = login.read_traces(using.ask(login.question(as_user.user, None)))
    if not before.are_seen and not server_proves_login:
        raise CannotAskError(
            f"whose session the screen shows, only {as_user.user} and root can see in the guest:"
            " give the plan's user sudo, or let it log in itself"
        )
    with ExitStack() as stack:
        place = stack.enter_context(scratch("rdp"))
        display = stack.enter_context(screen(using.tools, place))
        way = stack.enter_context(relay(place / "rdp", using.open_port, deadline))
        watch = Watch(as_user.user, display.picture, using.ask, deadline, before, server_proves_login)

        def look() -> Visit | Again | None:
            if using.over.is_set():
                raise GuestConnectionError("the RDP session was given up: the run ended")
            if way.error:
                raise way.error
            return watch.look()

        while not deadline.passed:
            with client(using.tools, place / "rdp", as_user, display.environment) as started:
                watch.begin(started)
                found = until(look, deadline, every=_LOOK)
            if isinstance(found, Visit):
                return found
        return watch.out_of_time()
