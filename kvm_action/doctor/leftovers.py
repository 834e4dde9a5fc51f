"""What dead runs left behind, and machines that were kept on purpose."""

from collections.abc import Sequence

from kvm_action.doctor.finding import Finding, ok, warning
from kvm_action.leases import Lease


def machines(owned: Sequence[tuple[str, Lease]]) -> Finding:
    """``owned``: names and leases of the machines that kvm-e2e made. Foreign ones are none of our business."""
    dead = [name for name, lease in owned if not lease.is_alive]
    if dead:
        return warning("left-over machines", f"their runs are dead: {', '.join(dead)}", "kvm-e2e reap")
    kept = [name for name, lease in owned if lease.kept_until]
    if kept:
        return ok("left-over machines", f"none; kept on purpose: {', '.join(kept)}")
    return ok("left-over machines", f"none; {len(owned)} in use" if owned else "none")


def folders(left: Sequence[object]) -> Finding:
    """``left``: folders of runs and of builders of images that are dead, each with a text of its own."""
    if left:
        seen = f"their runs are dead: {', '.join(map(str, left))}"
        return warning("left-over files", seen, "kvm-e2e reap")
    return ok("left-over files", "none")
