"""A session as its user sees it: logged in by FreeRDP on a screen of our own, until its picture is there."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

from PIL import Image

from kvm_action.checks.facts import CannotAskError
from kvm_action.checks.rdp import login
from kvm_action.checks.rdp.client import Client, Login, client
from kvm_action.checks.rdp.handshake import Open
from kvm_action.checks.rdp.login import Traces
from kvm_action.checks.rdp.picture import Content, are_alike, content_of, share_left
from kvm_action.checks.rdp.relay import Relay, relay
from kvm_action.checks.rdp.screen import Screen, screen
from kvm_action.checks.rdp.tools import Tools
from kvm_action.errors import GuestConnectionError
from kvm_action.units import format_seconds
from kvm_action.wait import Deadline, until

Ask = Callable[[str], str]
"""Asks the guest, as root where that is allowed; what the command printed. Raises E2EError."""

_LOOK: Final = 0.5
_STEADY: Final = 3.0
"""Seconds without a change after which a desktop has drawn itself."""
_STEADY_IF_DOUBTFUL: Final = 8.0
"""The same for what may still be the server's own login screen, which gives way soon after the session began."""

_MESSAGE_LEAVES: Final = 0.6
"""The share of a login screen that stays where it is when the server adds messages to it."""


@dataclass(frozen=True)
class Surroundings:
    """What a session needs from outside. ``over`` is set when nobody waits for it any more."""

    tools: Tools
    open_port: Open
    ask: Ask
    over: Event


@dataclass(frozen=True)
class Visit:
    """What came of it: the last picture, and why it is not good; empty when it is."""

    complaint: str
    picture: Image.Image | None = None
    content: Content | None = None


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
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kvm-e2e-rdp-")))
        display = stack.enter_context(screen(using.tools, place))
        way = stack.enter_context(relay(place / "rdp", using.open_port, deadline))
        started = stack.enter_context(client(using.tools, place / "rdp", as_user, display.environment))
        watch = _Watch(as_user.user, _Parts(display, way, started), using, before, is_inside=server_proves_login)
        return until(watch.look, deadline, every=_LOOK) or watch.out_of_time(deadline)


@dataclass(frozen=True)
class _Parts:
    """What a session is made of."""

    screen: Screen
    relay: Relay
    client: Client


@dataclass
class _Watch:
    """What was seen so far."""

    user: str
    parts: _Parts
    using: Surroundings
    before: Traces
    is_inside: bool
    """Is it known that the user is logged in?"""
    now: Traces = field(default_factory=Traces)
    picture: Image.Image | None = None
    greeting: Image.Image | None = None
    """What stood on the screen while the user was surely not logged in."""
    doubtful: Image.Image | None = None
    """What stood there when that turned out to be over."""
    steady_since: float | None = None

    def look(self) -> Visit | None:
        """What came of it, if that is certain by now. Raises GuestConnectionError and others of a broken way."""
        if self.using.over.is_set():
            raise GuestConnectionError("the RDP session was given up: the run ended")
        if self.parts.client.has_ended:
            return self._ended()
        last, self.picture = self.picture, self.parts.screen.picture() or self.picture
        if not self.is_inside and not self._gets_inside():
            return self._visit(self._refusal()) if login.is_refused(self.user, self.now) else None
        if self.picture is None or not self._shows_something(self.picture):
            self.steady_since = None
        elif self.steady_since is None or last is None or not are_alike(last, self.picture):
            self.steady_since = time.monotonic()
        elif time.monotonic() - self.steady_since >= self._patience(self.picture):
            return self._visit("")
        return None

    def out_of_time(self, deadline: Deadline) -> Visit:
        """What to say of it when nothing was certain in time."""
        allowed = format_seconds(deadline.allowed.total_seconds())
        if not self.is_inside:
            what = "what its screen shows is its own login" if self.greeting else "its screen stayed blank"
            trouble = login.trouble_in(self.now)
            more = f"; it logged: {trouble}" if trouble else ""
            return self._visit(f"the server opened no session of {self.user} within {allowed}, and {what}{more}")
        if self.picture is not None and self._shows_something(self.picture):
            return self._visit("")
        shows = "stayed blank" if self._is_blank() else "never came to show more than the server's own login"
        return self._visit(
            f"{self.user} is logged in, and in {allowed} the screen {shows}: the desktop does not come up;"
            f" {self._last_words()}"
        )

    # --- inner

    def _is_blank(self) -> bool:
        return self.picture is None or content_of(self.picture).is_blank

    def _shows_something(self, picture: Image.Image) -> bool:
        return not content_of(picture).is_blank and not _is_of_kind(picture, self.greeting)

    def _patience(self, picture: Image.Image) -> float:
        return _STEADY_IF_DOUBTFUL if _is_of_kind(picture, self.doubtful) else _STEADY

    def _gets_inside(self) -> bool:
        """Ask the guest. A picture from before a no is none of the session; one from before a yes may be."""
        self._ask()
        if self.is_inside:
            self.doubtful = self.picture
        elif self.picture is not None and not content_of(self.picture).is_blank:
            self.greeting = self.picture
        return self.is_inside

    def _ask(self) -> None:
        self.now = login.read_traces(self.using.ask(login.question(self.user, self.before)))
        self.is_inside = self.is_inside or login.is_logged_in(self.user, self.before, self.now)

    def _ended(self) -> Visit:
        if self.parts.relay.error:
            raise self.parts.relay.error
        self._ask()
        if login.is_refused(self.user, self.now):
            return self._visit(self._refusal())
        reason = self.parts.client.reason()
        if login.has_begun(self.user, self.before, self.now):
            return self._visit(
                f"the session of {self.user} ended by itself right after the login: what its start script"
                f" (~/.xsession, startwm.sh) runs has exited; {self._last_words()}"
            )
        return self._visit(f"no session of {self.user}: {reason}")

    def _refusal(self) -> str:
        return f"the server refused the login of {self.user}: wrong password, or a user that does not exist there"

    def _last_words(self) -> str:
        self._ask()
        if self.now.last_words:
            return f"the last line of ~/.xsession-errors is: {self.now.last_words}"
        return "~/.xsession-errors says nothing"

    def _visit(self, complaint: str) -> Visit:
        return Visit(complaint, self.picture, content_of(self.picture) if self.picture else None)


def _is_of_kind(picture: Image.Image, other: Image.Image | None) -> bool:
    """Is it the same screen, perhaps with a message on it?"""
    return other is not None and share_left(other, picture) > _MESSAGE_LEAVES
