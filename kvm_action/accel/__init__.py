"""KVM or emulation? Decided by trying, never by a version or a guess."""

from kvm_action.accel.choice import KvmFacts, choose, decide, look_at_kvm

__all__ = ["KvmFacts", "choose", "decide", "look_at_kvm"]
