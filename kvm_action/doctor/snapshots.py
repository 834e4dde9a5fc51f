"""Snapshots with memory: can a machine of this host go back to one?"""

from kvm_action.doctor.finding import Finding, ok, warning


def going_back(firmware: str, way: str | None, reason: str) -> Finding:
    """``way`` is how a machine went back, None when none could; ``reason`` is what was seen."""
    subject = f"snapshots ({firmware})"
    if way:
        return ok(subject, reason)
    return warning(
        subject,
        f"a machine cannot go back to one, so that none is taken: {reason}",
        "# a run works without snapshots; another version of libvirt may take them",
    )


def not_looked_at(firmware: str, why: str) -> Finding:
    """libvirt's own finding says what mends it."""
    return ok(f"snapshots ({firmware})", f"not looked at: {why}")
