"""Carrying out a plan's checks against a running guest, of which only `guest.Guest` is known."""

from kvm_action.checks.runner import run_checks

__all__ = ["run_checks"]
