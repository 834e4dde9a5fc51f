"""The state of a guest as far as a provisioning script changes it, and the difference between two of them.

Sees a Guest only. What always changes (counters, times, logs) is not looked at.
"""

from kvm_action.guest_state.capture import Watched, capture, capture_again
from kvm_action.guest_state.differences import differences
from kvm_action.guest_state.model import GuestState

__all__ = ["GuestState", "Watched", "capture", "capture_again", "differences"]
