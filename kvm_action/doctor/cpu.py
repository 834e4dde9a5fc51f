"""The processor: its kind, its virtualization, and whether guests may use it in turn."""

from kvm_action.doctor.finding import Finding, Level, ok, problem
from kvm_action.procfs import Cpu, Host
from kvm_action.text import counted

NEST = """\
# this host is itself a virtual machine: its own host must allow nested virtualization. There (kvm_amd for AMD):
#   echo 'options kvm_intel nested=1' | sudo tee /etc/modprobe.d/kvm-nested.conf
#   sudo modprobe -r kvm_intel && sudo modprobe kvm_intel"""
FIRMWARE = "# switch on VT-x (Intel) or AMD-V / SVM in the firmware set-up of this machine, then boot it again"


def architecture(machine: str) -> Finding:
    """``machine`` as in `platform.machine`."""
    if machine == "x86_64":
        return ok("architecture", machine)
    return problem("architecture", f"{machine}; guests are x86_64", "# use a host with an x86_64 processor")


def virtualization(cpu: Cpu, missing: Level) -> Finding:
    """The flags vmx or svm; without them it is ``missing``."""
    name = f"{cpu.model or 'unknown model'}, {counted(cpu.count, 'CPU')}"
    if cpu.virtualization:
        return ok("CPU", f"{name}, {cpu.virtualization}")
    seen = f"no virtualization (neither vmx nor svm in /proc/cpuinfo): {name}"
    return Finding(subject="CPU", level=missing, seen=seen, mend=NEST if cpu.is_virtual else FIRMWARE)


def nested(host: Host) -> Finding:
    """Whether guests get virtualization of their own: worth knowing, needed by no plan of ours."""
    for module in ("kvm_intel", "kvm_amd"):
        if value := host.text(f"/sys/module/{module}/parameters/nested"):
            state = "on" if value in ("Y", "1") else "off"
            return ok("nested virtualization", f"{state} ({module}); only guests that run KVM themselves need it")
    return ok("nested virtualization", "cannot be had here; only guests that run KVM themselves need it")
