"""Deciding what a session by RDP came to, by what its screen shows and what the guest says. It starts nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from PIL import Image

from kvm_action.checks.rdp import login
from kvm_action.checks.rdp.login import Traces
from kvm_action.checks.rdp.picture import Content, are_alike, content_of, share_left
from kvm_action.units import format_duration
from kvm_action.wait import Clock, Deadline

Ask = Callable[[str], str]
"""Asks the guest, as root where that is allowed; what the command printed. Raises E2EError."""

_STEADY: Final = 3.0
"""Seconds without a change after which a desktop has drawn itself."""
_STEADY_IF_DOUBTFUL: Final = 8.0
"""The same for what may still be the server's own login screen, which gives way soon after the session began."""

_BLANK: Final = 10.0
"""Seconds of a blank screen after which we connect again, the next time after twice as many: now and then xrdp
loses the only picture of a quiet desktop, and sends it to a new connection."""
_WORTH_IT: Final = 15.0
"""Seconds that another connection needs to show something."""
_MESSAGE_LEAVES: Final = 0.6
"""The share of a login screen that stays where it is when the server adds messages to it."""


@dataclass(frozen=True)
class Visit:
    """What came of it: the last picture, and why it is not good; empty when it is."""

    complaint: str
    picture: Image.Image | None = None
    content: Content | None = None
    connections: int = 1


class Ending(Protocol):
    """A client that may end by itself."""

    @property
    def has_ended(self) -> bool:
        """Did it?"""

    def reason(self) -> str:
        """Why, as a sentence."""


class Again:
    """The picture may have been lost on the way: a new connection asks for all of it."""


@dataclass
class Watch:
    """What was seen of one session so far, on ``screen`` and by asking the guest."""

    user: str
    screen: Callable[[], Image.Image | None]
    ask: Ask
    deadline: Deadline
    before: Traces
    is_proved: bool
    """Does the server let nobody in who has not shown the right password?"""
    clock: Clock = time.monotonic
    now: Traces = field(default_factory=Traces)
    picture: Image.Image | None = None
    greeting: Image.Image | None = None
    """What stood on the screen while the user was surely not logged in."""
    client: Ending = field(init=False)
    doubtful: Image.Image | None = None
    """What stood there when that turned out to be over."""
    steady_since: float | None = None
    blank_since: float | None = None
    connections: int = 0
    is_inside: bool = False
    """Is it known that this connection has come to the user's session?"""
    was_inside: bool = False
    """Or one before it?"""

    def begin(self, started: Ending) -> None:
        """Watch another connection."""
        self.client = started
        self.connections += 1
        self.is_inside = self.is_proved
        self.steady_since = self.blank_since = self.doubtful = None
        if self.connections > 1:
            self.before = self.now

    def look(self) -> Visit | Again | None:
        """What came of it, if that is certain by now. Raises what asking raises."""
        if self.client.has_ended:
            return self._ended()
        last, self.picture = self.picture, self.screen() or self.picture
        if not self.is_inside and not self._gets_inside():
            return self._visit(self._refusal()) if login.is_refused(self.user, self.now) else None
        if self.picture is None or not self._shows_something(self.picture):
            return self._wait_for_a_picture()
        return self._wait_for_it_to_stand_still(self.picture, last)

    def _wait_for_a_picture(self) -> Again | None:
        self.steady_since = None
        self.blank_since = self.blank_since or self.clock()
        patience = _BLANK * 2 ** (self.connections - 1)
        is_worth_it = self.deadline.left > _WORTH_IT and self.clock() - self.blank_since >= patience
        return Again() if is_worth_it else None

    def _wait_for_it_to_stand_still(self, picture: Image.Image, last: Image.Image | None) -> Visit | None:
        self.blank_since = None
        if self.steady_since is None or last is None or not are_alike(last, picture):
            self.steady_since = self.clock()
        return self._visit("") if self.clock() - self.steady_since >= self._patience(picture) else None

    def out_of_time(self) -> Visit:
        """What to say of it when nothing was certain in time."""
        allowed = format_duration(timedelta(seconds=round(self.deadline.allowed.total_seconds())))
        if not self.was_inside and not self.is_inside:
            shows = "shows its own login" if self.greeting else "stayed blank"
            trouble = login.trouble_in(self.now)
            more = f"; it logged: {trouble}" if trouble else ""
            return self._visit(
                f"the server opened no session of {self.user} within {allowed}: its screen {shows}{more}"
            )
        if self.is_inside and self.picture is not None and self._surely_shows_something(self.picture):
            return self._visit("")
        shows = "stayed blank" if self._is_blank() else "shows no more than the server's own login"
        return self._visit(f"{self.user} is logged in, and the screen {shows} after {allowed}{self._last_words()}")

    # --- inner

    def _is_blank(self) -> bool:
        return self.picture is None or content_of(self.picture).is_blank

    def _shows_something(self, picture: Image.Image) -> bool:
        return not content_of(picture).is_blank and not _is_of_kind(picture, self.greeting)

    def _surely_shows_something(self, picture: Image.Image) -> bool:
        return self._shows_something(picture) and not _is_of_kind(picture, self.doubtful)

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
        self.now = login.read_traces(self.ask(login.question(self.user, self.before)))
        is_first = self.connections == 1  # later, more processes prove nothing
        has_come = login.is_logged_in if is_first else login.is_resumed
        self.is_inside = self.is_inside or has_come(self.user, self.before, self.now)
        self.was_inside = self.was_inside or self.is_inside

    def _ended(self) -> Visit:
        self._ask()
        if login.is_refused(self.user, self.now):
            return self._visit(self._refusal())
        if login.has_begun(self.user, self.before, self.now):
            return self._visit(
                f"the session of {self.user} ended right after the login: what ~/.xsession or startwm.sh starts"
                f" has exited{self._last_words()}"
            )
        return self._visit(f"no session of {self.user}: {self.client.reason()}")

    def _refusal(self) -> str:
        return f"the server refused the login of {self.user}: wrong password, or no such user"

    def _last_words(self) -> str:
        self._ask()
        return f"; ~/.xsession-errors ends: {self.now.last_words}" if self.now.last_words else ""

    def _visit(self, complaint: str) -> Visit:
        content = content_of(self.picture) if self.picture else None
        return Visit(complaint, self.picture, content, self.connections)


def _is_of_kind(picture: Image.Image, other: Image.Image | None) -> bool:
    """Is it the same screen, perhaps with a message on it?"""
    return other is not None and share_left(other, picture) > _MESSAGE_LEAVES
