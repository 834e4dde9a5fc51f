"""A command line as it is sent to a guest's shell: marked with its session, so that all of it can be ended."""

import re
import shlex
from typing import Final

_MARK: Final = re.compile(rb"\x1ekvm-e2e (\d{1,10})\n")
_MARK_WITHIN: Final = 1 << 16
LEFT_BEHIND: Final = 30.0
"""Seconds after a command's end for which we listen to what it left running, should that go on talking."""

# TERM first: sudo passes it on to what it runs on a terminal of its own, where KILL of sudo would not reach.
_KILL: Final = """\
members() {
    for f in /proc/[0-9]*/stat; do
        { read -r line < "$f"; } 2>/dev/null || continue
        pid=${line%% *}
        set -- ${line##*) }
        [ "$4" = SESSION ] && [ "$1" != Z ] && echo "$pid"
    done
}
kill -TERM $(members) 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
    [ -z "$(members)" ] && exit 0
    sleep 0.1
done
kill -KILL $(members) 2>/dev/null
"""


def wrap(command: str, sudo: bool = False) -> str:
    """The line for the guest's shell, which leads a session of its own: say which, then become the command."""
    words = [*(["sudo", "-n", "--"] if sudo else []), "sh", "-c", command]
    return f"printf '\\036kvm-e2e %s\\n' \"$$\" >&2; exec {shlex.join(words)}"


def kill_command(session: int) -> str:
    """Ends every process of a session, whatever process groups they made; as root where that is allowed."""
    script = shlex.quote(_KILL.replace("SESSION", str(session)))
    return f"if sudo -n true 2>/dev/null; then sudo -n sh -c {script}; else sh -c {script}; fi"


class SessionMark:
    """Takes the mark of `wrap` out of a command's standard error, which is held back until it came."""

    def __init__(self) -> None:
        """Not seen yet."""
        self.session: int | None = None
        self._held = bytearray()
        self._over = False

    def take(self, data: bytes) -> bytes:
        """Take in a piece; returns what may be passed on."""
        if self._over:
            return data
        self._held += data
        if found := _MARK.search(self._held):
            self.session = int(found[1])
            del self._held[found.start() : found.end()]
        elif len(self._held) <= _MARK_WITHIN:
            return b""
        return self.rest()

    def rest(self) -> bytes:
        """What was held back: the mark came, or will not come any more."""
        self._over = True
        rest, self._held = bytes(self._held), bytearray()
        return rest
