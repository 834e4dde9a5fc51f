"""How xrdp comes from its own script to a session: which file decides, and what that names. Pure."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import split
from typing import Final

from kvm_action.checks.desktop_question import DEFAULTS, STARTWM, Desktop, Script

XSESSION: Final = "/etc/X11/Xsession"
_SHEBANG: Final = re.compile(r"#!\s*(\S+)")
_HOME: Final = re.compile(r"^(?:~|\$HOME|\$\{HOME\})(?=/)")
_ENDS: Final = re.compile(r"[;&|]+")
_PROFILES: Final = ("/etc/profile", "~/.profile", "~/.bash_profile", "~/.bashrc")
"""They set variables and start nothing."""
_MOST: Final = 8
"""Scripts that start one another."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What decides (a script, or ``x-session-manager`` and its like), and the program that it names, if any."""

    decides: str
    program: str = ""
    interpreters: tuple[str, ...] = ()
    """What the scripts on the way are written for; executable ones do not start without."""
    complaint: str = ""
    """Why no session of this desktop comes of it."""


def how_it_starts(desktop: Desktop, programs: Collection[str]) -> Start:
    """The way of xrdp to one of ``programs``, the names of what starts the session."""
    first = desktop.scripts.get(f"{desktop.home}/startwm.sh") or desktop.scripts.get(STARTWM)
    if first is None:
        return Start(decides=STARTWM, complaint=f"xrdp starts a session by {STARTWM}, and there is no such file")
    if not first.executable:
        return Start(decides=first.path, complaint=f"xrdp cannot start {first.path}: it is not executable")
    visited = tuple(_follow(desktop, first))
    interpreters = tuple(dict.fromkeys(_interpreter(script) for script in visited if script.executable))
    for script in visited:
        if program := _named(script, programs):
            return Start(decides=script.path, program=program, interpreters=tuple(filter(None, interpreters)))
    return _without(desktop, visited, programs, tuple(filter(None, interpreters)))


def unread_scripts(desktop: Desktop) -> tuple[str, ...]:
    """Paths that the scripts name and of which we know nothing: one of them may be what starts the session."""
    words = {word for script in desktop.scripts.values() for word in _next(desktop, script)}
    return tuple(sorted(word for word in words if word.startswith("/") and word not in desktop.scripts))[:50]


def _follow(desktop: Desktop, first: Script) -> Iterator[Script]:
    """The scripts that are run after one another, as far as they are known."""
    seen: list[str] = []
    waiting = [first]
    while waiting and len(seen) < _MOST:
        script = waiting.pop(0)
        if script.path in seen:
            continue
        seen.append(script.path)
        yield script
        waiting += [desktop.scripts[path] for path in _next(desktop, script) if path in desktop.scripts]


def _next(desktop: Desktop, script: Script) -> tuple[str, ...]:
    if script.path == XSESSION:  # it takes the first that is there (Xsession.d/50x11-common_determine-startup)
        return (_own(desktop),)
    profiles = {_HOME.sub(lambda _found: desktop.home, path) for path in _PROFILES}
    return tuple(word for word in _words(desktop, script) if word not in profiles)


def _own(desktop: Desktop) -> str:
    """The user's own script of a session; empty for none."""
    own = (f"{desktop.home}/{name}" for name in (".xsession", ".Xsession"))
    return next((path for path in own if path in desktop.scripts), "")


def _without(
    desktop: Desktop, visited: tuple[Script, ...], programs: Collection[str], needs: tuple[str, ...]
) -> Start:
    """None of the scripts names it: then Xsession takes the system's default, unless one is the user's."""
    wanted = " or ".join(programs)
    by_xsession = any(script.path == XSESSION for script in visited)
    own = _own(desktop) if by_xsession else visited[-1].path
    if last := desktop.scripts.get(own):
        does = _last_command(last) or "nothing"
        complaint = f"{last.path} starts `{does}`, not {wanted}"
        return Start(decides=last.path, interpreters=needs, complaint=complaint)
    default = desktop.default
    if default and not default.names.isdisjoint(programs):
        return Start(decides=default.name, program=default.program, interpreters=needs)
    leads = f"{default.name} leads to {default.program}" if default else f"{DEFAULTS[0]} leads to nothing"
    return Start(
        decides=default.name if default else DEFAULTS[0],
        interpreters=needs,
        complaint=f"{desktop.user} has no ~/.xsession, and {leads}, not {wanted}",
    )


def _named(script: Script, programs: Collection[str]) -> str:
    """The word by which ``script`` names one of ``programs``."""
    if script.path == XSESSION:
        return ""
    return next((word for line in _lines(script) for word in line if PurePosixPath(word).name in programs), "")


def _last_command(script: Script) -> str:
    lines = list(_lines(script))
    return " ".join(lines[-1])[:80] if lines else ""


def _words(desktop: Desktop, script: Script) -> tuple[str, ...]:
    return tuple(_HOME.sub(lambda _found: desktop.home, word) for line in _lines(script) for word in line)


def _lines(script: Script) -> Iterator[list[str]]:
    """The words of each line, without comments and what separates commands."""
    for line in script.text.splitlines():
        if words := [part for word in _split(line) for part in _ENDS.split(word) if part]:
            yield words


def _split(line: str) -> list[str]:
    try:
        return split(line, comments=True)
    except ValueError:  # a quote that goes on in the next line
        return line.split()


def _interpreter(script: Script) -> str:
    found = _SHEBANG.match(script.text)
    return found[1] if found else ""
