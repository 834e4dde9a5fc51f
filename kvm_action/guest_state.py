"""The state of a guest as far as a provisioning script changes it, and the difference between two of them.

Sees a Guest only. What always changes (counters, times, logs) is not looked at.
"""

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kvm_action.errors import CheckError
from kvm_action.guest import Guest
from kvm_action.results import Change

TIME: Final = timedelta(minutes=3)

_AREAS: Final = {
    "package": "dpkg-query -W -f '${Package}:${Architecture}\\t${Version} ${db:Status-Abbrev}\\n'",
    "user": "getent passwd | sed 's/:/\\t/'",
    "group": "getent group | sed 's/:/\\t/'",
    # What is enabled or masked are links below /etc. `systemctl list-unit-files` says it, too, and takes 4 s in
    # emulation, since systemd reads every unit for it.
    "unit file": "find /usr/lib/systemd/system /usr/local/lib/systemd/system /run/systemd/system"
    " -maxdepth 1 -type f -printf '%p\\t%s bytes\\n' 2>/dev/null",
    "service": "systemctl list-units --all --type=service,socket --no-legend --no-pager --plain"
    ' | awk \'$1 !~ /^(user|session|getty|systemd-|apt-|dpkg-)/ {print $1 "\\t" $3 " " $4}\'',
    "port": 'ss -Htuln | awk \'{print $1 " " $5 "\\tlistening"}\' | sort -u',
    "file": "find /etc -xdev -type f ! -name '*.lock' ! -name '.pwd.lock' ! -name 'ld.so.cache'"
    " ! -name 'mtab' ! -name 'subuid-' ! -name '*-' -print0 | xargs -0 sha256sum | awk '{print $2 \"\\t\" $1}'",
    "link": "find /etc -xdev -type l -printf '%p\\t%l\\n'",
}
_MARK: Final = "=== "


@dataclass(frozen=True)
class GuestState:
    """By area, then by item: its value."""

    areas: dict[str, dict[str, str]]


def capture(guest: Guest) -> GuestState:
    """Look at the guest, as root, by one command. Raises CheckError when that does not work."""
    script = "\n".join(f"echo {shlex.quote(_MARK + area)}\n{command}" for area, command in _AREAS.items())
    answer = guest.run(f"sh -c {shlex.quote(script)}", timeout=TIME, sudo=True, keep_bytes=32 << 20)
    state = parse(answer.stdout.decode(errors="replace"))
    if not state.areas.get("file"):
        raise CheckError("the guest's state cannot be read", "the user needs sudo for `provision.idempotent`")
    return state


def parse(text: str) -> GuestState:
    """The state in what the command printed: a line `=== area`, then lines `item<TAB>value`."""
    areas: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(_MARK):
            here = areas.setdefault(line.removeprefix(_MARK), {})
        else:
            item, _, value = line.partition("\t")
            here[item] = value
    return GuestState(areas)


def differences(before: GuestState, after: GuestState) -> tuple[Change, ...]:
    """What came, went and changed, by area and item; `absent` stands for what is not there."""
    return tuple(
        Change(area=area, item=item, before=old.get(item, "absent"), after=new.get(item, "absent"))
        for area, new in after.areas.items()
        for old in [before.areas.get(area, {})]
        for item in sorted(old.keys() | new.keys())
        if old.get(item) != new.get(item)
    )
