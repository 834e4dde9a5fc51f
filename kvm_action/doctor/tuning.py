"""Settings of the host that make times longer or less even."""

from kvm_action.doctor.finding import Finding, ok, warning
from kvm_action.procfs import Host

SLEEPY = {"powersave", "ondemand", "conservative"}


def governor(host: Host) -> Finding:
    """The frequency governor. With a driver that chooses by itself (``intel_pstate``), powersave is no brake."""
    folders = sorted(host.path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    names = {(folder / "scaling_governor").read_text().strip() for folder in folders}
    drivers = {(folder / "scaling_driver").read_text().strip() for folder in folders}
    if not folders:
        return ok("CPU governor", "not this host's to choose")
    seen = ", ".join(sorted(names))
    if not names & SLEEPY or drivers <= {"intel_pstate", "amd-pstate-epp"}:
        return ok("CPU governor", seen)
    mend = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return warning("CPU governor", f"{seen}: times vary with the load", mend)
