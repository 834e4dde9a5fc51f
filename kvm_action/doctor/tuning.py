"""Settings of the host that make times longer or less even."""

from collections.abc import Sequence
from typing import Final

from kvm_action.doctor.finding import Finding, ok, warning
from kvm_action.procfs import Host

SLEEPY: Final = {"powersave", "ondemand", "conservative"}


def governor(host: Host) -> Finding:
    """The frequency governor. With a driver that chooses by itself (``intel_pstate``), powersave is no brake."""
    folders = [
        f"/{folder.relative_to(host.root)}"
        for folder in sorted(host.path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    ]
    if not folders:
        return ok("CPU governor", "not this host's to choose")
    names = [host.text(f"{folder}/scaling_governor") for folder in folders]
    drivers = {host.text(f"{folder}/scaling_driver") for folder in folders}
    seen = ", ".join(f"{name} on {names.count(name)} of {len(names)} CPUs" for name in sorted(set(names)))
    seen += _pace(host, folders)
    if not SLEEPY.intersection(names) or drivers <= {"intel_pstate", "amd-pstate-epp"}:
        return ok("CPU governor", seen)
    mend = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return warning("CPU governor", f"{seen}: times vary with the load", mend)


def _pace(host: Host, folders: Sequence[str]) -> str:
    """How fast the slowest processor runs at this moment, and how fast it could, if both are known."""
    paces = [
        [host.text(f"{folder}/{name}") for name in ("scaling_cur_freq", "cpuinfo_max_freq")] for folder in folders
    ]
    known = [(int(now), int(most)) for now, most in paces if now.isdecimal() and most.isdecimal()]
    if not known:
        return ""
    now, most = min(known)
    return f", down to {now / 1e6:.1f} of {most / 1e6:.1f} GHz now"
