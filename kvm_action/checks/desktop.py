"""Desktop sessions: can one be started, by whom, and does the one that is open live?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Final

from testinfra.host import Host

from kvm_action.checks.desktop_entry import DesktopEntry
from kvm_action.checks.desktop_question import (
    Desktop,
    desktop_question,
    read_desktop,
    read_scripts,
    scripts_question,
)
from kvm_action.checks.facts import Fact, Verdict, judge, shown
from kvm_action.checks.login import find_programs
from kvm_action.checks.records import answers
from kvm_action.checks.session_start import Start, how_it_starts, unread_scripts
from kvm_action.plan.checks import DesktopCheck
from kvm_action.results import CheckOutcome
from kvm_action.wait import Deadline, until

KNOWN: Final = {"xfce": ("xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop")}
"""What runs in a session of a desktop; the first is the session itself."""
_SCREENS: Final = ("Xorg", "Xvnc", "Xwayland")
_SETTLES: Final = timedelta(seconds=30)
"""How long a session that was just opened may take until all of it runs."""
Logins = Mapping[str, CheckOutcome]
"""How the RDP logins of this run ended, by user."""


def check_desktop(check: DesktopCheck, host: Host, logins: Logins) -> Verdict:
    """Do its files resolve, does something start it, and does a session that is open have its processes?"""
    desktop = _look(check, host)
    if not desktop.home:
        missing = f"user {desktop.user} is not there"
        return judge([Fact(f"desktop of {desktop.user}", missing, False, missing)])
    entry = desktop.session(check.session)
    if entry is None:
        return judge([_no_session(check, desktop)])
    required = check.processes or KNOWN.get(check.session, ())
    programs = _starters(entry, required)
    desktop = _with_scripts(desktop, host)
    start = how_it_starts(desktop, programs) if desktop.xrdp else None
    found = find_programs(host, desktop.user, _needed(entry, start))
    facts = [_session(entry, desktop.user, found), _started(check, desktop, start, found)]
    return judge([*facts, *_life(check, host, desktop, required, logins.get(desktop.user))])


def _look(check: DesktopCheck, host: Host) -> Desktop:
    return read_desktop(answers(host, desktop_question(check.user)))


def _with_scripts(desktop: Desktop, host: Host) -> Desktop:
    """The same, with the scripts that those of the session call."""
    paths = unread_scripts(desktop)
    more = read_scripts(answers(host, scripts_question(paths))) if paths else {}
    return replace(desktop, scripts={**desktop.scripts, **more})


def _no_session(check: DesktopCheck, desktop: Desktop) -> Fact:
    there = ", ".join(one.name for one in desktop.sessions) or "none at all"
    complaint = f"there is no session {check.session}.desktop in /usr/share/xsessions; there is {there}"
    return Fact(f"session {check.session}", f"there is {there}", False, complaint)


def _starters(entry: DesktopEntry, required: Sequence[str]) -> tuple[str, ...]:
    """The names of the programs any of which starts the session."""
    names = [PurePosixPath(path).name for path in entry.programs]
    return tuple(dict.fromkeys([*names, *required[:1]]))


def _needed(entry: DesktopEntry, start: Start | None) -> tuple[str, ...]:
    way = (start.program, *start.interpreters) if start else ()
    return tuple(dict.fromkeys([*entry.programs, *(word for word in way if word)]))


def _session(entry: DesktopEntry, user: str, found: Mapping[str, str]) -> Fact:
    """Does the session's own file lead to programs?"""
    if not entry.programs:
        return Fact(entry.path, "starts nothing", False, f"{entry.path} has no Exec line")
    lacking = [name for name in entry.programs if name not in found]
    complaint = f"{entry.path} starts {' and '.join(lacking)}, which is not in the PATH of {user}"
    return Fact(
        f"{entry.path} starts {entry.program}", "found" if not lacking else "not found", not lacking, complaint
    )


def _started(check: DesktopCheck, desktop: Desktop, start: Start | None, found: Mapping[str, str]) -> Fact:
    """Does a display manager or xrdp lead to it? One is enough."""
    wanted = "xrdp or a display manager starts it"
    if start is None and not desktop.manager:
        complaint = f"nothing starts desktop {check.session}: neither xrdp nor a display manager runs"
        return Fact(wanted, "neither runs", False, complaint)
    broken = _broken(desktop, start, found) if start else ""
    if start and not broken:
        return Fact(wanted, f"xrdp by {start.decides}", True, "")
    if desktop.manager:
        return Fact(wanted, desktop.manager, True, "")
    return Fact(wanted, "xrdp does not", False, broken)


def _broken(desktop: Desktop, start: Start, found: Mapping[str, str]) -> str:
    """Why xrdp starts no such session; empty when it does."""
    if stopped := {"xrdp", "xrdp-sesman"} - desktop.xrdp:
        return f"xrdp does not serve: not running: {', '.join(sorted(stopped))}"
    if start.complaint:
        return start.complaint
    lacking = [word for word in (*start.interpreters, start.program) if word not in found]
    return f"{start.decides} needs {lacking[0]}, which is not in the PATH of {desktop.user}" if lacking else ""


def _life(
    check: DesktopCheck, host: Host, desktop: Desktop, required: Sequence[str], login: CheckOutcome | None
) -> list[Fact]:
    """Are the processes of a session there, if one is open?"""
    wanted = "its processes live in a session that is open"
    if not _is_open(desktop, required):
        if login is not CheckOutcome.FAILED:
            return [Fact(wanted, "none is open", True, "")]
        complaint = f"nothing is left of the session after the RDP login of {desktop.user}{_last_words(desktop)}"
        return [Fact(wanted, "it ended", False, complaint)]
    if not required:
        return []
    if login is not None and _lacking(desktop, required):
        deadline = Deadline(min(_SETTLES, check.timeout / 2))
        settled = until(lambda: _whole(_look(check, host), required), deadline, every=1)
        desktop = settled or _look(check, host)
    lacking = _lacking(desktop, required)
    complaint = f"a session of {desktop.user} is open without {', '.join(lacking)}{_last_words(desktop)}"
    actual = f"{', '.join(required)} run" if not lacking else f"no {', '.join(lacking)}"
    return [Fact(wanted, actual, not lacking, complaint)]


def _is_open(desktop: Desktop, required: Sequence[str]) -> bool:
    return any(desktop.runs(name) for name in (*_SCREENS, *required))


def _lacking(desktop: Desktop, required: Collection[str]) -> list[str]:
    return [name for name in required if not desktop.runs(name)]


def _whole(desktop: Desktop, required: Collection[str]) -> Desktop | None:
    return None if _lacking(desktop, required) else desktop


def _last_words(desktop: Desktop) -> str:
    return f"; ~/.xsession-errors ends: {shown(desktop.errors)}" if desktop.errors else ""
