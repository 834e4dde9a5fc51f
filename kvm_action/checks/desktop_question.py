"""What a guest has of desktop sessions: asked by one script, read into one value."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import quote
from typing import Final

from kvm_action.checks.desktop_entry import DesktopEntry, parse_entry
from kvm_action.checks.records import PRINTER, Record, by_name

STARTWM: Final = "/etc/xrdp/startwm.sh"
"""What xrdp-sesman starts for each session (sesman.ini(5), DefaultWindowManager)."""
DEFAULTS: Final = ("x-session-manager", "x-window-manager", "x-terminal-emulator")
"""Of these Debian's Xsession takes the first for a user without a script (50x11-common_determine-startup)."""
_SESSION: Final = "session "
_FILE: Final = "file "
_NAME_OF_PROCESS: Final = 15
"""Letters that the kernel keeps of a process's name."""

# ~/startwm.sh comes before xrdp's own; ~/.xsession is read by Debian's /etc/X11/Xsession (Xsession(5)).
_ASK: Final = """\
u={user}
[ -n "$u" ] || u=${{SUDO_USER:-$(id -un)}}
r user; printf %s "$u"
home=$(getent passwd "$u" | cut -d: -f6)
r home; printf %s "$home"
for f in /usr/share/xsessions/*.desktop /usr/local/share/xsessions/*.desktop \\
    /usr/share/wayland-sessions/*.desktop; do
    [ -f "$f" ] && {{ r "session $f"; head -c 16384 "$f"; }}
done
r manager
[ "$(systemctl is-active display-manager.service 2>/dev/null)" = active ] &&
    systemctl show --value -p Id display-manager.service
r xrdp
for s in xrdp xrdp-sesman; do [ "$(systemctl is-active $s 2>/dev/null)" = active ] && echo "$s"; done
set -- {startwm} /etc/X11/Xsession "$home/startwm.sh" "$home/.xsession" "$home/.Xsession"
{scripts}
for f in {defaults}; do
    [ -x "/usr/bin/$f" ] || continue
    r default; echo "$f"; readlink -f "/usr/bin/$f"
    find -L /usr/bin /usr/local/bin -maxdepth 1 -samefile "/usr/bin/$f" 2>/dev/null
    break
done
r errors; tail -c 2000 "$home/.xsession-errors" 2>/dev/null
r processes
find /proc -maxdepth 1 -name '[0-9]*' -user "$u" 2>/dev/null | while read -r p; do cat "$p/comm" 2>/dev/null; done
r end
"""

# A program that is no text is not read: its size says so.
_SCRIPTS: Final = """\
for f; do
    [ -f "$f" ] && [ "$(wc -c <"$f")" -le 16384 ] || continue
    r "file $f"; cat "$f"
    r "mode $f"; [ -x "$f" ] && echo executable
done
"""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script that starts a session."""

    path: str
    text: str
    executable: bool


@dataclass(frozen=True, kw_only=True)
class Default:
    """The program that Xsession starts by itself: the name it goes by, its file, and that file's other names."""

    name: str
    program: str
    names: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Desktop:
    """What the guest has. ``processes`` are the user's, by name, as the kernel cuts it."""

    user: str
    home: str
    sessions: tuple[DesktopEntry, ...]
    manager: str
    """The display manager that runs; empty for none."""
    xrdp: frozenset[str]
    """Which of xrdp's two services run."""
    scripts: Mapping[str, Script]
    default: Default | None
    errors: str
    processes: frozenset[str]

    def runs(self, program: str) -> bool:
        """Has the user such a process?"""
        return program[:_NAME_OF_PROCESS] in self.processes

    def session(self, name: str) -> DesktopEntry | None:
        """The session of this name."""
        return next((one for one in self.sessions if one.name == name), None)


def desktop_question(user: str | None) -> str:
    """A shell script that prints records."""
    asked = _ASK.format(user=quote(user or ""), startwm=STARTWM, scripts=_SCRIPTS, defaults=" ".join(DEFAULTS))
    return f"# what there is of desktops\n{PRINTER}\n{asked}"


def scripts_question(paths: Collection[str]) -> str:
    """A shell script that prints those of ``paths`` that are small files, as records."""
    return f"{PRINTER}\nset -- {' '.join(quote(path) for path in paths)}\n{_SCRIPTS}"


def read_scripts(told: tuple[Record, ...]) -> Mapping[str, Script]:
    """The scripts out of the answers, by their paths."""
    known = by_name(told)
    paths = [one.name.removeprefix(_FILE) for one in told if one.name.startswith(_FILE)]
    return {
        path: Script(path=path, text=known[_FILE + path], executable=bool(known.get(f"mode {path}")))
        for path in paths
    }


def read_desktop(told: tuple[Record, ...]) -> Desktop:
    """The value out of the answers."""
    known = by_name(told)
    entries = (parse_entry(one.name.removeprefix(_SESSION), one.text) for one in told if one.name[:8] == _SESSION)
    return Desktop(
        user=known.get("user", ""),
        home=known.get("home", ""),
        sessions=tuple(entry for entry in entries if entry),
        manager=PurePosixPath(known.get("manager", "")).stem,
        xrdp=frozenset(known.get("xrdp", "").split()),
        scripts=read_scripts(told),
        default=_default(known.get("default", "").splitlines()),
        errors=known.get("errors", ""),
        processes=frozenset(known.get("processes", "").splitlines()),
    )


def _default(told: list[str]) -> Default | None:
    if len(told) < 2:
        return None
    name, program, *others = told
    names = frozenset(PurePosixPath(path).name for path in (program, *others))
    return Default(name=name, program=program, names=names)
