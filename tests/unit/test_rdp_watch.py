"""What a session is taken for, moment by moment: login screens, desktops that are slow, lost, black, or gone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from PIL import Image, ImageDraw

from kvm_action.checks.rdp.login import Traces
from kvm_action.checks.rdp.watch import Again, Visit, Watch
from kvm_action.wait import Deadline

NOBODY = "sees: all\n"
SOMEBODY = NOBODY + "process: 9/environ\n"
RESUMED = NOBODY + "log: [INFO ] ++ reconnected session: username developer, display :10.0\n"
REFUSED = NOBODY + "log: [INFO ] AUTHFAIL: user=developer ip=127.0.0.1\n"
BEGUN = NOBODY + "log: [INFO ] ++ created session (access granted): username developer, ip x\nsession: not found\n"


def screen(x: int | None = None, words: str = "") -> Image.Image:
    picture = Image.new("RGB", (320, 200))
    if x is not None:
        draw = ImageDraw.Draw(picture)
        draw.rectangle((x, 20, x + 120, 180), "white")
        draw.text((x + 5, 30), words, "black")
    return picture


BLACK, LOGIN, LOGIN_SAYS_MORE, DESKTOP = screen(), screen(10), screen(10, "connecting"), screen(180)


@dataclass
class Show:
    """What the screen and the guest show from which second on; and when the client ends."""

    screens: dict[float, Image.Image]
    answers: dict[float, str]
    ends: float = 1e9
    now: float = 0
    seen: list[Again] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return self.now >= self.ends

    def reason(self) -> str:
        return "the server ended the session (LOGOFF_BY_USER)"

    def at(self, changes: dict[float, object]) -> object:
        return changes[max(second for second in changes if second <= self.now)]

    def play(
        self, seconds: float, *, proved: bool = False, again: Callable[["Show"], None] = lambda _show: None
    ) -> Visit:
        """Look twice a second, connect again when that is asked for."""
        deadline = Deadline(timedelta(seconds=seconds), lambda: self.now)
        watch = Watch(
            "developer", lambda: self.at(self.screens), lambda _question: self.at(self.answers), deadline,
            Traces(are_seen=True), proved, clock=lambda: self.now,
        )  # fmt: skip
        watch.begin(self)
        while not deadline.passed:
            match watch.look():
                case Visit() as found:
                    return found
                case Again() as found:
                    self.seen.append(found)
                    again(self)
                    watch.begin(self)
            self.now += 0.5
        return watch.out_of_time()


def test_a_desktop_passes_once_it_stands_still() -> None:
    show = Show({0: BLACK, 2: LOGIN, 6: BLACK, 9: DESKTOP}, {0: NOBODY, 5: SOMEBODY})
    found = show.play(60)
    assert (found.complaint, found.picture, show.seen) == ("", DESKTOP, [])
    assert show.now == pytest.approx(12)


def test_a_login_screen_that_lingers_after_the_login_is_not_taken_for_the_desktop() -> None:
    show = Show({0: BLACK, 2: LOGIN, 4: LOGIN_SAYS_MORE, 30: DESKTOP}, {0: NOBODY, 5: SOMEBODY})
    assert show.play(60).picture is DESKTOP


def test_a_login_screen_that_was_never_seen_before_the_login_is_given_time_to_go() -> None:
    """The guest says yes at the first question: what stands on the screen then may be either."""
    show = Show({0: LOGIN, 6: DESKTOP}, {0: RESUMED})
    assert show.play(60).picture is DESKTOP
    at_once = Show({0: DESKTOP}, {0: RESUMED})
    assert at_once.play(60).picture is DESKTOP
    assert at_once.now == pytest.approx(8)


def test_a_refused_login_fails_at_once_whatever_the_screen_shows() -> None:
    show = Show({0: BLACK, 1: LOGIN}, {0: NOBODY, 3: REFUSED})
    assert "refused the login of developer" in show.play(60).complaint
    assert show.now == 3


def test_a_login_screen_alone_is_no_session() -> None:
    found = Show({0: LOGIN}, {0: NOBODY}).play(20)
    assert "opened no session of developer within 20s: its screen shows its own login" in found.complaint


def test_a_black_desktop_fails_at_the_end_of_the_time_after_other_connections_did_not_help() -> None:
    def resume(show: Show) -> None:
        show.answers = {0: RESUMED}

    show = Show({0: BLACK}, {0: NOBODY, 1: SOMEBODY})
    found = show.play(60, again=resume)
    assert found.complaint == "developer is logged in, and the screen stayed blank after 1m"
    assert len(show.seen) == 2  # after 10 and 20 seconds more; 40 are not left


def test_a_picture_that_the_server_lost_is_asked_for_again() -> None:
    def resume(show: Show) -> None:
        show.screens = {0: BLACK, show.now + 1: LOGIN, show.now + 12: DESKTOP}
        show.answers = {0: SOMEBODY, show.now + 11: RESUMED}

    show = Show({0: BLACK}, {0: NOBODY, 1: SOMEBODY})
    found = show.play(60, again=resume)
    assert (found.complaint, found.picture, found.connections) == ("", DESKTOP, 2)


@pytest.mark.parametrize("seconds", [30, 45, 60])
def test_the_servers_own_messages_after_connecting_again_are_never_the_desktop(seconds: float) -> None:
    def says_more(show: Show) -> None:
        show.screens = {0: LOGIN, show.now + 4: LOGIN_SAYS_MORE}
        show.answers = {0: SOMEBODY + "process: 10/environ\n"}

    found = Show({0: BLACK}, {0: NOBODY, 1: SOMEBODY}).play(seconds, again=says_more)
    assert "developer is logged in, and the screen shows no more than the server's own login" in found.complaint


def test_a_session_that_ended_says_whether_it_had_begun() -> None:
    begun = Show({0: BLACK}, {0: NOBODY, 2: BEGUN}, ends=3).play(60)
    assert "ended right after the login" in begun.complaint
    assert begun.complaint.endswith("~/.xsession-errors ends: not found")
    never = Show({0: BLACK}, {0: NOBODY}, ends=3).play(60)
    assert never.complaint == "no session of developer: the server ended the session (LOGOFF_BY_USER)"


def test_a_server_that_proves_the_login_by_nla_is_not_asked_about() -> None:
    show = Show({0: BLACK, 1: DESKTOP}, {0: NOBODY})
    assert show.play(60, proved=True).picture is DESKTOP
