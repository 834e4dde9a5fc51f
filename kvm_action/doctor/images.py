"""The base images that are at hand."""

from collections.abc import Sequence
from pathlib import Path

from kvm_action.doctor.finding import Finding, ok, warning
from kvm_action.units import format_size


def at_hand(images: Sequence[tuple[str, int]], store: Path) -> Finding:
    """``images``: names and sizes in bytes."""
    if images:
        return ok("base images", ", ".join(f"{name} ({format_size(size)})" for name, size in images))
    return warning("base images", f"none in {store}", "kvm-e2e image build debian-13")
