"""Did the login succeed? A server that shows its own login screen tells the client nothing, so the guest is asked.

Pure: the question as a shell command, and what its answer means.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Final

from kvm_action.text import plain_line

_LOGS: Final = "/var/log/xrdp*.log"
_TAIL: Final = 60
_BEGUN: Final = re.compile(r"\+\+ (?:created|reconnected) session\b.*\busername (\S+?),")
_RESUMED: Final = re.compile(r"\+\+ reconnected session\b.*\busername (\S+?),")
_REFUSED: Final = re.compile(r"\bAUTHFAIL: user=(\S+)")
_TROUBLE: Final = re.compile(r"\[(?:ERROR|CORE)\s*\] (.*)")
_NOISE: Final = ("dynamic_monitor", "xrdp_channel_process", "scp_process_msg", "trans_check_wait_objs", "SSL")
"""Errors that xrdp logs when all is well."""

# Processes with a display are those of a session; what we run over SSH has none. Root reads all of them in a
# machine, but not in every container: so it asks as the user too.
_QUESTION: Final = """\
u={user}
[ "$(id -u)" != 0 ] && [ "$(id -un)" != "$u" ] || echo "sees: all"
cd /proc
theirs=$(find . -maxdepth 1 -name '[0-9]*' -user "$u" -printf '%P/environ ' 2>/dev/null)
as_user=
[ "$(id -u)" != 0 ] || as_user="setpriv --reuid $(id -u "$u") --regid $(id -g "$u") --clear-groups"
for as in "" "$as_user"; do
    $as grep -lsazE '^(WAYLAND_)?DISPLAY=' /dev/null $theirs 2>/dev/null
done | sed 's/^/process: /'
for f in {logs}; do
    [ -f "$f" ] || continue
    n=$(stat -c %s "$f")
    case $f in
        {known}
        *) s={others} ;;
    esac
    echo "size: $n $f"
    [ "$n" -le "$s" ] || tail -c "+$((s + 1))" "$f" | tail -n {tail} | sed 's/^/log: /'
done
h=$(getent passwd "$u" | cut -d: -f6)
[ -z "$h" ] || grep -v '^ *$' "$h/.xsession-errors" 2>/dev/null | tail -n 1 | sed 's/^/session: /'
"""
_NOTHING_YET: Final = 1 << 62


@dataclass(frozen=True)
class Traces:
    """What a login leaves in the guest: processes with a display, the logs' sizes and what came to them."""

    are_seen: bool = False
    """May who asks see them? Root may, and the user."""
    processes: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    last_words: str = ""
    """The last line of the session's own error log."""


def question(user: str, before: Traces | None) -> str:
    """A shell command for root that asks for the traces; of the logs, what came since ``before``."""
    known = [f"{quote(path)}) s={size} ;;" for path, size in (before.sizes if before else {}).items()]
    return _QUESTION.format(
        user=quote(user),
        tail=_TAIL,
        logs=_LOGS,
        known="\n        ".join(known),
        others=0 if before else _NOTHING_YET,
    )


def read_traces(answer: str) -> Traces:
    """The traces out of what the command printed."""
    found: dict[str, list[str]] = {"sees": [], "process": [], "size": [], "log": [], "session": []}
    for line in answer.splitlines():
        kind, _, text = line.partition(": ")
        found.get(kind, []).append(text)
    return Traces(
        are_seen=bool(found["sees"]),
        processes=frozenset(found["process"]),
        sizes=dict(_size(text) for text in found["size"]),
        log=tuple(found["log"]),
        last_words=plain_line(found["session"][-1], 200) if found["session"] else "",
    )


def is_logged_in(user: str, before: Traces, now: Traces) -> bool:
    """Does a session that began for ``user`` since ``before`` have a display, or was one taken up again?"""
    return bool(now.processes - before.processes) or is_resumed(user, before, now)


def is_resumed(user: str, _before: Traces, now: Traces) -> bool:
    """Did the server log that a session of ``user`` was taken up again?"""
    return user in _users(_RESUMED, now)


def has_begun(user: str, before: Traces, now: Traces) -> bool:
    """Did it get as far as a session, though that may have ended at once?"""
    return is_logged_in(user, before, now) or user in _users(_BEGUN, now)


def is_refused(user: str, now: Traces) -> bool:
    """Did the server log that it does not believe user and password?"""
    return user in _users(_REFUSED, now)


def trouble_in(now: Traces) -> str:
    """The last error that the server logged, empty when there is none."""
    errors = (found[1] for line in reversed(now.log) if (found := _TROUBLE.search(line)))
    return next((plain_line(text, 200) for text in errors if not any(word in text for word in _NOISE)), "")


def _size(text: str) -> tuple[str, int]:
    size, _, path = text.partition(" ")
    return path, int(size) if size.isdecimal() else 0


def _users(pattern: re.Pattern[str], now: Traces) -> set[str]:
    return {found[1] for line in now.log if (found := pattern.search(line))}
