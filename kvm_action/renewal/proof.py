"""Has a machine that woke from a template really become another one? Judged from what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kvm_action.renewal.scripts import FrozenIdentity, NewIdentity

CLOCK_LIMIT: Final = 1.0
"""Seconds that the guest's clock may differ from the host's."""


@dataclass(frozen=True)
class Proof:
    """What speaks against the machine, in sentences; none when it is proved."""

    doubts: tuple[str, ...]
    clock_difference: float | None
    """Guest minus host, in seconds; None when the guest did not tell."""

    @property
    def ok(self) -> bool:
        """Is there no doubt?"""
        return not self.doubts


def judge(
    was: FrozenIdentity, wanted: NewIdentity, now: Mapping[str, str], clock_difference: float | None
) -> Proof:
    """Compare what the machine says it is ``now`` with what it was and what it should be."""
    found = {
        "it does not have the nonce of the template's memory": now.get("nonce") != was.nonce,
        "it has not taken the new machine id": now.get("machine_id") != wanted.machine_id,
        "it has the template's machine id": now.get("machine_id") == was.machine_id,
        "it has not taken the new name": now.get("hostname") != wanted.hostname,
        "it has not taken the new SSH host key": now.get("host_key") != wanted.host_key_public,
        "it has the template's SSH host key": now.get("host_key") == was.host_key,
        "it makes no random UUIDs": len(now.get("uuid", "")) != 36,
    }
    doubts = [doubt for doubt, holds in found.items() if holds]
    if clock_difference is None:
        doubts.append("it does not tell the time")
    elif abs(clock_difference) >= CLOCK_LIMIT:
        doubts.append(f"its clock is {clock_difference:+.1f} s off")
    return Proof(tuple(doubts), clock_difference)
