"""A kept machine goes back to a snapshot, and it is proved that it did: it runs, answers, knows the time, and what
was written after the snapshot is gone.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kvm_action.backends import evidence
from kvm_action.backends.guest_shell import root_shell
from kvm_action.backends.kept import Opened, reach
from kvm_action.backends.snapshotting import Snapshots, require_known_name
from kvm_action.errors import HostError
from kvm_action.hypervisor import snapshots
from kvm_action.hypervisor.agent import Agent
from kvm_action.hypervisor.snapshots import Snapshot, Way
from kvm_action.patience import stretched
from kvm_action.reach import Address, speaks_ssh
from kvm_action.units import format_duration
from kvm_action.wait import Deadline, until

ANSWER: Final = timedelta(seconds=60)
CLOCK_MAY_DIFFER: Final = 1.0
"""Seconds."""

_RESEED: Final = """binmode STDIN; read(STDIN, my $fresh, 64) == 64 or exit 1;
open(my $random, ">", "/dev/urandom") or exit 1;
ioctl($random, 0x40085203, pack("ii", 512, 64) . $fresh) or exit 1;  # RNDADDENTROPY (random(4))
ioctl($random, 0x5207, 0) or exit 1;  # RNDRESEEDCRNG"""


@dataclass(frozen=True)
class WentBack:
    """How it went. ``clock`` is how far the guest's clock is off, in seconds; ``proofs`` what was seen."""

    seconds: float
    clock: float
    proofs: tuple[str, ...]


def go_back(machine: Opened, name: str) -> WentBack:
    """Go back to the snapshot ``name``. The caller holds the machine's lock.

    Raises PlanError for a name that there is not; HostError where machines of this host cannot go back (nothing
    was done then), or when the machine went back and is not well.
    """
    found = machine.snapshots.listed()
    require_known_name(name, [each.name for each in found])
    way = way_to(next(each for each in found if each.name == name), found, machine.snapshots)
    mark = _leave_mark(machine)
    began = time.monotonic()
    lost = _revert(machine, name, way)
    seconds = time.monotonic() - began
    machine.domain.keep(machine.kept.lease.to_json())
    address = reach(machine)
    answers = _require_answer(machine, address)
    clock = _set_clock(machine)
    proofs = [answers, f"its clock is right to {abs(clock):.2f} s"]
    if reseed(machine):
        proofs.append("its randomness is fresh")
    if mark:
        _require_gone(machine, mark)
        proofs.append("a file written just before is gone")
        _note_proved(machine.snapshots, name)
    else:
        proofs.append("no file could be written before, so that nothing shows that it went back")
    if lost:
        proofs.append(f"libvirt does not know these snapshots any more: {lost}")
    return WentBack(round(seconds, 3), clock, tuple(proofs))


def _note_proved(snapshots_of_machine: Snapshots, name: str) -> None:
    records = snapshots_of_machine.records()
    if name in records:
        proved = replace(records[name], verified=True, detail="went back to it")
        snapshots_of_machine.record({**records, name: proved})


def _leave_mark(machine: Opened) -> str:
    """Write a file whose absence will prove the way back; its path, empty where none can be written.

    Memory goes back too, so that a file in /run does where the disk cannot be written.
    """
    mark = f".kvm-e2e-{secrets.token_hex(8)}"
    script = f"for at in /var/tmp /run; do touch $at/{mark} && sync $at/{mark} && echo $at/{mark} && break; done"
    said = (root_shell(machine)(f"{script} 2>/dev/null") or b"").decode(errors="replace").strip()
    return said if said in (f"/var/tmp/{mark}", f"/run/{mark}") else ""  # noqa: S108 - in the guest


def way_to(wanted: Snapshot, others: Sequence[Snapshot], of_machine: Snapshots) -> Way:
    """How to go back to this one. Raises HostError where there is no way, or where it would ruin another."""
    if not wanted.memory:
        raise HostError(f"“{wanted.name}” has no memory in it, so that no running machine can go back to it")
    if wanted.memory_file:
        return Way.RESTORE
    if standing := [each.name for each in others if each.memory_file]:
        names = ", ".join(standing)
        raise HostError(
            f"going back to “{wanted.name}” changes the disk that external snapshots stand on: {names}",
            "delete those first",
        )
    return of_machine.require_ability()


def _revert(machine: Opened, name: str, way: Way) -> str:
    try:
        return snapshots.revert(machine.domain, name, way, machine.snapshots.files)
    except HostError as error:
        if machine.domain.is_running:
            raise HostError(error.message, "the machine runs on as it was") from error
        raise HostError(f"{error.message}; the machine was lost", "`kvm-e2e reap` removes its files") from error


def _require_answer(machine: Opened, address: Address | None) -> str:
    def look() -> str:
        if evidence.agent_answers(machine.domain):
            return "its agent answers"
        greeted = address is not None and speaks_ssh(address, timedelta(seconds=2))
        return "its SSH server answers" if greeted else ""

    allowed = stretched(ANSWER)
    if answers := until(look, Deadline(allowed)):
        return answers
    raise HostError(
        f"the machine went back, but neither agent nor SSH server answered within {format_duration(allowed)}",
        f"`kvm-e2e vm console {machine.kept.run}` shows what it does",
    )


def _set_clock(machine: Opened) -> float:
    """The guest goes on with the time of its snapshot; set it right, and see how far it is off then."""
    ask = root_shell(machine)
    if not machine.domain.set_clock(datetime.now(UTC)):
        ask(f"date -u -s @{datetime.now(UTC).timestamp():.3f}")
    before = time.time()
    told = (ask("date +%s.%N") or b"").decode(errors="replace").strip()
    after = time.time()
    try:
        off = float(told) - (before + after) / 2
    except ValueError:
        raise HostError("the machine went back, but does not tell the time", "its clock may be wrong") from None
    # What the question itself took is nobody's fault: the answer was right at some moment within it.
    if abs(off) > CLOCK_MAY_DIFFER + (after - before) / 2:
        raise HostError(
            f"the machine went back, but its clock is off by {off:.1f} s and could not be set",
            "set it in the guest: sudo date -s ...; is qemu-guest-agent installed there?",
        )
    return off


def reseed(machine: Opened) -> bool:
    """Feed the kernel's randomness, by the agent: after each return to one snapshot it would be the same."""
    perl = ["/usr/bin/perl", "-e", _RESEED]
    done = Agent(machine.domain).run(perl, Deadline(evidence.EACH), stdin=secrets.token_bytes(64))
    return done is not None and done.status == 0


def _require_gone(machine: Opened, mark: str) -> None:
    if root_shell(machine)(f"test -e {mark} && echo there || echo gone") != b"gone\n":
        raise HostError(
            "the machine answers, but a file that was written after the snapshot is still there",
            "it did not go back; `kvm-e2e vm destroy` ends it",
        )
