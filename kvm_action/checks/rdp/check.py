"""The verdict on an RDP server: what its handshake shows, then what a user sees who logs in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Final

from kvm_action.checks.facts import CannotAskError, Fact, Verdict, judge
from kvm_action.checks.rdp.client import Login
from kvm_action.checks.rdp.handshake import BrokenTalkError, Handshake, shake_hands
from kvm_action.checks.rdp.session import Surroundings, visit
from kvm_action.checks.rdp.tools import Tools, find_tools
from kvm_action.checks.rdp.watch import Visit
from kvm_action.errors import NoWayToPortError, PortClosedError
from kvm_action.guest import Guest, GuestOutput, GuestSocket
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome
from kvm_action.wait import Deadline

Ask = Callable[[str, Deadline], GuestOutput]

_NO_TLS: Final = (
    "port {port} offers plain RDP security only, which can be broken: give the server a certificate and a key that"
    " it can read (`tls: false` accepts it)"
)
_ANSWER: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Rdp:
    """What the checks of one run share. ``over`` is set when nobody waits for them any more."""

    guest: Guest
    ask: Ask
    screenshots: Path | None
    over: Event
    tools: Callable[[], Tools] = find_tools
    turn: Lock = field(default_factory=Lock)
    """Sessions are opened one after the other: two of one user would take the screen from each other."""


def check_rdp(check: RdpCheck, using: Rdp) -> Verdict:
    """Shake hands, then log in if the plan says as whom. Raises CannotAskError, E2EError."""
    try:
        return _look(check, using, Deadline(check.timeout))
    except PortClosedError as error:
        return _no_handshake(
            check, f"nothing accepts RDP connections in the guest ({error.message}): does the server run?"
        )
    except NoWayToPortError as error:
        raise CannotAskError(f"{error.message}, and the RDP check has no other way; {error.hint}") from error
    except BrokenTalkError as error:
        return _no_handshake(check, f"what listens on port {check.port} {error}")


def _look(check: RdpCheck, using: Rdp, deadline: Deadline) -> Verdict:
    hands = shake_hands(lambda limit: _open(check, using, limit), deadline)
    facts = handshake_facts(check, hands, datetime.now(UTC))
    if check.user is None or check.password is None:
        return judge(facts)
    tools = using.tools()
    if tools.missing:
        return without_session(check, facts, tools)
    login = Login(check.user, check.password.get_secret_value())
    left = timedelta(seconds=deadline.left)  # what follows may have to wait for its turn
    with using.turn:
        seen = visit(login, hands.nla, _around(check, using, tools), Deadline(left))
        saved = _save(seen, check.user, using.screenshots)
    return judge([*facts, session_fact(check.user, seen, saved)])


def handshake_facts(check: RdpCheck, hands: Handshake, now: datetime) -> list[Fact]:
    """What the plan wants of the handshake, beside what was found. Pure."""
    facts = [_security(check, hands)]
    if hands.certificate:
        complaint = hands.certificate.complaint(now) if check.tls else ""
        wanted = "a certificate that is valid today" if check.tls else "any certificate"
        facts.append(Fact(wanted, str(hands.certificate), not complaint, complaint))
    return facts


def _security(check: RdpCheck, hands: Handshake) -> Fact:
    wanted, complaints = ["an RDP handshake"], []
    if check.tls:
        wanted.append("TLS")
        complaints += [] if hands.encrypted else [_NO_TLS.format(port=check.port)]
    if check.nla:
        wanted.append("NLA")
        complaints += [] if hands.nla else [f"port {check.port} does not offer NLA"]
    if check.nla is False:
        wanted.append("a way in without NLA")
        complaints += [] if hands.tls or hands.plain else [f"port {check.port} lets no client in without NLA"]
    return Fact(", ".join(wanted), str(hands), not complaints, "; ".join(complaints))


def _open(check: RdpCheck, using: Rdp, deadline: Deadline) -> GuestSocket:
    return using.guest.open_port(check.port, timedelta(seconds=max(0.1, deadline.left)))


def _no_handshake(check: RdpCheck, message: str) -> Verdict:
    expected = "an RDP handshake, and a session" if check.user else "an RDP handshake"
    return Verdict(CheckOutcome.FAILED, expected=expected, actual="no handshake", message=message)


def without_session(check: RdpCheck, facts: list[Fact], tools: Tools) -> Verdict:
    """A handshake that is bad is bad; else the session was not tried, and the plan says how bad that is."""
    found = judge([*facts, Fact(f"a session of {check.user}", "not tried", True, "")])
    if found.outcome is CheckOutcome.FAILED:
        return found
    outcome = CheckOutcome.ERROR if check.required else CheckOutcome.SKIPPED
    message = f"the handshake is good, and the session of {check.user} was not tried: {tools.how_to_install}"
    return Verdict(outcome, found.expected, found.actual, message)


def _around(check: RdpCheck, using: Rdp, tools: Tools) -> Surroundings:
    return Surroundings(
        tools=tools,
        open_port=lambda deadline: _open(check, using, deadline),
        ask=lambda command: using.ask(command, Deadline(_ANSWER)).text,
        over=using.over,
    )


def session_fact(user: str, seen: Visit, saved: str) -> Fact:
    """What came of a login, beside what was wanted. Pure."""
    shown = f"a picture of {seen.content}" if seen.content else "no picture"
    again = f" (by connection {seen.connections}; before, the screen stayed blank)" if seen.connections > 1 else ""
    actual = (f"{shown} in {saved}" if saved else shown) + again
    complaint = f"{seen.complaint} ({saved})" if saved else seen.complaint
    return Fact(f"a session of {user} with a picture", actual, not seen.complaint, complaint)


def _save(seen: Visit, user: str, folder: Path | None) -> str:
    """Keep the picture; returns its path below the run's output, empty when there is none."""
    if seen.picture is None or folder is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"rdp-{user}{number}.png" for number in ("", *(f"-{count}" for count in range(2, 100))))
    path = folder / next(name for name in names if not (folder / name).exists())
    seen.picture.save(path, "PNG", optimize=True)
    return f"{folder.name}/{path.name}"
