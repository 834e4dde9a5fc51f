"""What a machine that wakes from a template must change about itself, and the proof that it has.

Scripts and values only: whoever reaches the guest (by its agent) runs them. What the guest answers is untrusted.
"""

from kvm_action.renewal.proof import Proof, judge
from kvm_action.renewal.scripts import (
    ENTROPY_BYTES,
    FrozenIdentity,
    NewIdentity,
    arrival,
    renewal,
    said,
    scripts_digest,
    settling,
)

__all__ = [
    "ENTROPY_BYTES",
    "FrozenIdentity",
    "NewIdentity",
    "Proof",
    "arrival",
    "judge",
    "renewal",
    "said",
    "scripts_digest",
    "settling",
]
