"""The shell lines that a guest is looked at with; few, since a process costs an emulated guest 20 to 50 ms.

A first look takes everything, contents included; a second one only what tells which files have to be read again.
"""

from collections.abc import Sequence
from shlex import join, quote
from typing import Final

from kvm_action.guest_state.model import DPKG_STATUS, SMALL, UNIT_FOLDERS

_UNITS: Final = "systemctl list-units --type=service,socket,timer --no-legend --no-pager --plain"
_BUS: Final = (
    "grep -hs ^SystemdService= /usr/share/dbus-1/system-services/* /usr/local/share/dbus-1/system-services/*"
)
# Numbers of owners: for each name find would read /etc/passwd and /etc/group again.
_FORMAT: Final = r"%y %m %U:%G %s %i/%C@ %p\0%l\0"
_IS_KEPT: Final = (
    rf"\( -path {DPKG_STATUS} -o -size -{SMALL // 1024 + 1}k \( -perm -o=r -o -path '/etc/sudoers*' \) \)"
)
# Both read paths from their standard input, each ended by a zero byte.
TAR: Final = "tar -c -P --no-recursion --hard-dereference --null -T - -f -"
HASH: Final = "xargs -0 -r sha256sum -z --"

# A path that is a link is looked at as such, and what it leads to as well: with a slash it is the folder there.
_NAMED: Final = """set -- {paths}
for path do shift; set -- "$@" "$path"
if test -L "$path"; then
if test -d "$path"; then set -- "$@" "$path/"; else set -- "$@" "$(readlink -f -- "$path")"; fi; fi; done"""


def first_look(mark: str, paths: Sequence[str]) -> str:
    """Everything, in sections that begin with ``mark``; the contents last, since they may be cut."""
    holding = f'{join(["/etc", DPKG_STATUS])} "$@"'
    is_hashed = rf"\( -path '/etc/*' ! {_IS_KEPT} -o ! -path '/etc/*' ! -path {DPKG_STATUS} \)"
    return "\n".join(
        [
            second_look(mark, paths),
            f"s hashes; find {holding} -xdev -type f {is_hashed} -print0 | {HASH}",
            f"s contents; find {holding} -xdev -type f {_IS_KEPT} -print0 | {TAR}",
            "exit 0",
        ]
    )


def second_look(mark: str, paths: Sequence[str]) -> str:
    """Units, those that D-Bus starts, ports, and what stands where."""
    return "\n".join(
        [
            "exec 2>/dev/null; export LC_ALL=C",
            rf"s() {{ printf '\n%s %s\n' {mark} $1; }}",
            f"s units; {_UNITS}",
            f"s bus; {_BUS}",
            "s tcp; cat /proc/net/tcp /proc/net/tcp6",
            "s udp; cat /proc/net/udp /proc/net/udp6",
            _NAMED.format(paths=join(paths)),
            f's entries; find {join(["/etc", DPKG_STATUS, *UNIT_FOLDERS])} "$@" -xdev -printf {quote(_FORMAT)}',
        ]
    )
