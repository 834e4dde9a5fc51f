"""Running the script under test: how it is called, how its output is kept, and what its end means."""

import shlex
import time
from datetime import timedelta
from typing import Final

from kvm_action.errors import CommandTimeoutError, E2EError, ProvisionError, RunEndedError
from kvm_action.events import OutputLine, Stream
from kvm_action.guest import Guest, GuestOutput
from kvm_action.lifecycle.context import RunContext
from kvm_action.output import OutputLog
from kvm_action.plan.model import Provision
from kvm_action.results import StepName
from kvm_action.units import format_duration, format_seconds

# The script arrives on standard input, so that neither it nor its environment shows in the guest's process list.
_CALL: Final = """umask 077
script=$HOME/.kvm-e2e-provision
cat > "$script" || exit
umask 022
if command -v bash >/dev/null; then bash -eo pipefail "$script" </dev/null; else sh -e "$script" </dev/null; fi
status=$?
rm -f "$script"
exit $status
"""
# A container shares the host's kernel, whose log tells of others' programs.
_LAST_KILLED: Final = (
    "systemd-detect-virt --quiet --container || { dmesg || sudo -n dmesg; } 2>/dev/null"
    " | sed -n 's/.*Out of memory: Killed process [0-9]* (\\(.*\\)) total-vm.*/\\1/p' | tail -n 1"
)
_HINTS: Final = {
    126: "126 means: found, but not executable (chmod +x, and commit the mode)",
    127: "127 means: a command or the script was not found; is it in `files`, and is `workdir` right?",
    130: "130 means: it was interrupted by SIGINT",
    137: "137 means: killed by SIGKILL, most often for want of memory; see guest/dmesg.txt and machine.memory",
    143: "143 means: it was ended by SIGTERM",
}


def script_text(provision: Provision) -> str:
    """What is run in the guest: environment, working directory, then the plan's own lines."""
    exports = [f"export {name}={shlex.quote(value.get_secret_value())}" for name, value in provision.env.items()]
    enter = [f"cd -- {shlex.quote(provision.workdir)}"] if provision.workdir else []
    return "\n".join([*exports, *enter, provision.run, ""])


class StillRunningError(ProvisionError):
    """The script was ended at its time limit."""


def run_script(context: RunContext, log_name: str, step: StepName) -> tuple[GuestOutput, float]:
    """Run the plan's script, its output live to the sink and whole to ``log_name``; returns its end and seconds.

    Raises StillRunningError.
    """
    provision = context.loaded.plan.provision

    def on_line(stream: Stream, text: str) -> None:
        context.sink(OutputLine(step=step, stream=stream, text=text))

    began = time.monotonic()
    with (context.out / log_name).open("wb") as file:
        log = OutputLog(file, on_line, context.mask)
        try:
            with log:
                ended = context.guest.run(
                    f"sh -c {shlex.quote(_CALL)}",
                    timeout=provision.timeout,
                    stdin=script_text(provision).encode(),
                    on_output=log,
                    keep_bytes=0,
                )
        except CommandTimeoutError as error:
            raise StillRunningError(
                f"the script was still running after {format_duration(provision.timeout)} and was ended",
                "raise provision.timeout if it needs longer; its last lines show where it hung",
            ) from error
        finally:
            seconds = time.monotonic() - began
            if step is StepName.PROVISION:
                context.script_tail = tuple(log.tail)
                context.script_seconds = round(seconds, 3)
            else:
                context.rerun_tail = tuple(log.tail)
    return ended, seconds


def provision(context: RunContext) -> str:
    """The `provision` step. Raises ProvisionError when the script fails or takes the machine away."""
    ended, seconds = run_script(context, "provision.log", StepName.PROVISION)
    if not ended.ok:
        raise ProvisionError(
            f"the script {how(ended)} after {format_seconds(seconds)}", why(context.guest, ended.status)
        )
    context.machine.assert_reachable()
    return f"exit 0, {format_seconds(seconds)}"


def how(ended: GuestOutput) -> str:
    """How a command ended, as the end of a sentence."""
    return f"was killed by SIG{ended.signal}" if ended.signal else f"exited with status {ended.status}"


def why(guest: Guest, status: int) -> str:
    """A hint: what is wrong with the guest, or what the exit status commonly means."""
    used = _asked(guest, "df -P / | awk 'NR==2 {print $5}'")
    if used in {"100%", "99%"}:
        return f"the guest's disk is full ({used} of /): raise machine.disk, or let the script write less"
    if killed := _asked(guest, _LAST_KILLED):
        return f"the guest ran out of memory, and its kernel killed {killed}: raise machine.memory in the plan"
    return _HINTS.get(status, "its last lines are below; provision.log has all of them")


def _asked(guest: Guest, question: str) -> str:
    try:
        return guest.run(question, timeout=timedelta(seconds=10), keep_bytes=80).text.strip()
    except RunEndedError:
        raise
    except E2EError:
        return ""
