"""libvirt: does it answer, how fast, and does it probe QEMU again and again?"""

from collections.abc import Sequence
from dataclasses import dataclass

from kvm_action.doctor.finding import Finding, Level, ok, warning
from kvm_action.doctor.kvm import OPEN_TO_GROUP, join_group
from kvm_action.units import format_seconds

SLOW_CALL = 1.0
"""Seconds. Capabilities that libvirt remembers are answered within milliseconds; probing QEMU takes 1 to 5 s."""

NOT_NEEDED = "only plans with a libvirt network need it"


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A daemon that answered. ``calls`` are the seconds of the same call, one after the other."""

    uri: str
    libvirt: str
    calls: tuple[float, ...]


def reachable(subject: str, daemon: Daemon) -> list[Finding]:
    """What a daemon that answers means."""
    return [
        ok(subject, f"{daemon.libvirt} at {daemon.uri}"),
        call_time(subject, daemon.calls),
    ]


def call_time(subject: str, calls: Sequence[float]) -> Finding:
    """The first call may probe QEMU; when a later one is slow too, libvirt distrusts what it remembers."""
    later = min(calls[1:])
    if later < SLOW_CALL:
        return ok(f"{subject}, calls", f"{format_seconds(later)} (the first: {format_seconds(calls[0])})")
    seen = (
        f"{format_seconds(later)} for each call, again and again: libvirt probes QEMU anew every time, as it does "
        "when /dev/kvm is not open to the group kvm"
    )
    return warning(f"{subject}, calls", seen, OPEN_TO_GROUP)


def unreachable(subject: str, message: str, *, needed: bool, has_systemd: bool) -> Finding:
    """What a daemon that does not answer means."""
    mend = mend_for(message, has_systemd=has_systemd)
    if needed:
        return Finding(subject=subject, level=Level.PROBLEM, seen=message, mend=mend)
    return Finding(subject=subject, level=Level.OK, seen=f"{message}; {NOT_NEEDED}", mend=mend)


def mend_for(message: str, *, has_systemd: bool) -> str:
    """The command that mends a connection of which ``message`` tells."""
    if "ermission denied" in message or "authentication" in message.lower():
        return join_group("libvirt")
    if "/system" not in message:
        return "sudo apt-get install -y libvirt-daemon-system libvirt-clients"
    return "sudo systemctl enable --now libvirtd" if has_systemd else "sudo libvirtd --daemon"
