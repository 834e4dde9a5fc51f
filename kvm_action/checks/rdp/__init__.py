"""The `rdp` check: a handshake of our own, and a session by FreeRDP. Sees a Guest and this host's tools."""

from kvm_action.checks.rdp.check import Rdp, check_rdp

__all__ = ["Rdp", "check_rdp"]
