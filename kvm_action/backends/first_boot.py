"""What is asked of a guest right after the first login: has cloud-init finished, and who are you?"""

import json
import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kvm_action.errors import BootError, CommandTimeoutError
from kvm_action.guest import Guest
from kvm_action.units import format_duration
from kvm_action.wait import Deadline

RESULT: Final = "/run/cloud-init/result.json"

CLOUD_INIT_ENDED: Final = f"""
if [ -d /run/cloud-init ] || command -v cloud-init >/dev/null; then
    until [ -s {RESULT} ] || [ -e /run/cloud-init/disabled ]; do sleep 0.1; done
    [ ! -s {RESULT} ] || while IFS= read -r line; do printf %s "$line"; done < {RESULT}
fi
echo
"""
"""A shell's commands: wait for cloud-init's end if there is one, and print its result on one line."""

# One command, since each one costs a round trip, and by the shell alone, since in emulation each program costs
# tens of milliseconds.
_WAIT: Final = f"""{CLOUD_INIT_ENDED}
. /etc/os-release; echo "$PRETTY_NAME"
for name in osrelease hostname random/boot_id; do
    IFS= read -r line < /proc/sys/kernel/$name; printf '%s\\n' "$line"
done
"""


@dataclass(frozen=True)
class FirstBoot:
    """What the guest said. ``cloud_init`` is False for a guest that has none."""

    os: str
    kernel: str
    hostname: str
    boot_id: str
    cloud_init: bool


def finished(guest: Guest, timeout: timedelta) -> FirstBoot:
    """Wait for cloud-init's end and read the guest's facts. Raises BootError when cloud-init failed or hangs."""
    deadline = Deadline(timeout)
    try:
        answer = guest.run(f"sh -c {shlex.quote(_WAIT)}", timeout=timeout)
    except CommandTimeoutError as error:
        if not deadline.passed:
            raise  # the limit of the whole run
        raise BootError(
            f"cloud-init has not finished {format_duration(timeout)} after the first login",
            "guest/cloud-init-output.log ends with what it waits for",
        ) from error
    lines = answer.text.splitlines()
    if not answer.ok or len(lines) != 5:
        raise BootError(
            f"the guest does not answer simple questions: {answer.stderr.decode(errors='replace').strip()[:200]}",
            "it must be a Linux system with a POSIX shell",
        )
    if errors := cloud_init_errors(lines[0]):
        raise BootError(
            f"cloud-init failed in the guest: {errors[0]}",
            "see guest/cloud-init.log and guest/cloud-init-output.log",
        )
    cloud_init, os, kernel, hostname, boot_id = lines
    return FirstBoot(os, kernel, hostname, boot_id, bool(cloud_init))


def cloud_init_errors(text: str) -> list[str]:
    """The errors in a result.json of cloud-init; none when there is no cloud-init."""
    if not text:
        return []
    try:
        return [str(error) for error in json.loads(text)["v1"]["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [f"its {RESULT} is not what it should be: {text[:80]}"]
