"""IDEs, as their user has them: the command, its version, the entry in the desktop's menus."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from shlex import quote
from typing import Final

from testinfra.host import Host

from kvm_action.checks.desktop_entry import DesktopEntry, parse_entry
from kvm_action.checks.facts import Fact, Verdict, judge, shown
from kvm_action.checks.login import as_login, find_programs, refused_login
from kvm_action.checks.records import Record, answers, by_name
from kvm_action.plan.checks import IdeCheck

_ENTRY: Final = "entry "
_OVERDUE: Final = "124"
"""What `timeout` exits with when it had to end a command."""

_ASK: Final = """\
c={command}
r path; command -v -- "$c"
r PATH; printf %s "$PATH"
if command -v -- "$c" >/dev/null; then
    t=$(mktemp) || t=/dev/null
    r version
    {{ timeout -k 1 {seconds} "$c" --version; printf '\\036status\\037%s' "$?"; }} 2>"$t" </dev/null | head -c 4096
    r warnings; head -c 4096 "$t"
    [ "$t" = /dev/null ] || rm -f "$t"
fi
data=${{XDG_DATA_HOME:-$HOME/.local/share}}:${{XDG_DATA_DIRS:-/usr/local/share:/usr/share}}
data=$data:/var/lib/flatpak/exports/share:/var/lib/snapd/desktop
echo "$data" | tr : '\\n' | while IFS= read -r d; do
    for f in "$d/applications/"{stem}.desktop $(grep -lsF -- {stem} "$d"/applications/*.desktop | head -n 20); do
        [ -f "$f" ] && {{ r "entry $f"; head -c 16384 "$f"; }}
    done
done
"""


def check_ide(check: IdeCheck, host: Host) -> Verdict:
    """Does the user's login find it, does it tell a version, has a menu an entry that works?"""
    told = answers(host, ide_question(check))
    known = by_name(told)
    user = known.get("user", "")
    if refused := refused_login(known):
        return judge([Fact(f"{check.command} for {user}", "no login", False, refused)])
    path = known.get("path", "")
    if not path:
        complaint = f"{user} does not find {check.command}: it is not in their PATH ({known.get('PATH', '')})"
        return judge([Fact(f"{check.command} in the PATH of {user}", "not found", False, complaint)])
    found = Fact(f"{check.command} in the PATH of {user}", path, True, "")
    return judge([found, _version(check, known), _entry(check, host, user, told)])


def ide_question(check: IdeCheck) -> str:
    """What is asked first, as the user's login."""
    seconds = max(1, round(check.timeout / timedelta(seconds=1) * 0.8))
    stem = PurePosixPath(check.command).name
    return as_login(check.user, _ASK.format(command=quote(check.command), seconds=seconds, stem=quote(stem)))


def _version(check: IdeCheck, known: Mapping[str, str]) -> Fact:
    """What it prints; a program that cannot even do that does not work."""
    printed = known.get("version") or known.get("warnings", "")
    status = known.get("status", "0")
    asked = f"`{check.command} --version`"
    wanted = f"a version with {check.version!r}" if check.version else "a version"
    if status == _OVERDUE:
        return Fact(wanted, "not finished", False, f"{asked} does not end")
    if status != "0":
        words = shown(known.get("warnings") or printed) or "it says nothing"
        return Fact(wanted, f"status {status}", False, f"{asked} ends with status {status}: {words}")
    if not printed:
        return Fact(wanted, "nothing", False, f"{asked} prints nothing")
    line = _telling_line(printed)
    holds = check.version is None or check.version in printed
    return Fact(wanted, line, holds, f"{asked} says {line}, not {check.version}")


def _telling_line(printed: str) -> str:
    """The first line with a digit: a greeting may come before the version."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return shown(next((line for line in lines if any(letter.isdigit() for letter in line)), lines[0]))


def _entry(check: IdeCheck, host: Host, user: str, told: tuple[Record, ...]) -> Fact:
    parsed = (parse_entry(one.name.removeprefix(_ENTRY), one.text) for one in told if one.name.startswith(_ENTRY))
    wanted = f"{check.entry}" if check.entry else "a .desktop entry"
    ours = [entry for entry in parsed if entry and not entry.hidden and _belongs(check, entry)]
    if not ours:
        complaint = f"no .desktop entry that is shown starts {check.command}, so no menu of the desktop has it"
        if check.entry:
            complaint = f"there is no .desktop entry {check.entry} that is shown, so no menu of the desktop has it"
        return Fact(wanted, "none", False, complaint)
    names = {name for entry in ours for name in entry.programs} - {check.command}
    found = {check.command, *find_programs(host, user, sorted(names))}
    lacks = {entry.path: [name for name in entry.programs if name not in found] for entry in ours}
    good = [entry for entry in ours if entry.programs and not lacks[entry.path]]
    if good:
        return Fact(wanted, good[0].path, True, "")
    missing = " and ".join(lacks[ours[0].path]) or "nothing"
    complaint = f"{ours[0].path} starts {missing}, which is not in the PATH of {user}"
    return Fact(wanted, f"{ours[0].path}: no {missing}", False, complaint)


def _belongs(check: IdeCheck, entry: DesktopEntry) -> bool:
    """Is it the entry of this program? Its name says so, or what it starts."""
    if check.entry:
        return check.entry in (f"{entry.name}.desktop", entry.name)
    name = PurePosixPath(check.command).name
    return entry.name == name or name in {PurePosixPath(word).name for word in entry.words}
