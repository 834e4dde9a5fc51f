"""The choice between KVM and TCG: the facts are gathered first, then judged by a pure function."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kvm_action.accel.device import DeviceState, examine
from kvm_action.accel.guest import GuestRun, TryGuest, run_guest
from kvm_action.errors import HostError
from kvm_action.patience import stretched
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host
from kvm_action.results import AccelInfo
from kvm_action.wait import Deadline

PATIENCE: Final = timedelta(seconds=10)
"""For all test guests together. One takes 0.2 s on a usual host, and QEMU alone 3 s where KVM is nested in TCG."""

NO_FLAG: Final = "the CPU shows no virtualization (neither vmx nor svm in /proc/cpuinfo)"

HOST_CPU: Final = "host"
PLAIN_CPU: Final = "qemu64"


@dataclass(frozen=True)
class KvmFacts:
    """What was tried, in this order; None for what was not tried any more."""

    flag: str
    """``vmx``, ``svm`` or empty."""
    device: DeviceState | None = None
    guest: GuestRun | None = None
    """With the host's own CPU model, as machines are started."""
    plain_guest: GuestRun | None = None
    """With a plain CPU model, when the other one failed: QEMU then often says better what is wrong."""

    @property
    def trouble(self) -> str:
        """The first thing that speaks against KVM; empty when a guest ran."""
        if self.guest and self.guest.ok:
            return ""
        if self.device and not self.device.ok:
            return self.device.trouble
        return self._guest_trouble or NO_FLAG

    @property
    def _guest_trouble(self) -> str:
        if not self.guest:
            return ""
        if not self.plain_guest:
            return self.guest.sentence
        with_plain = f"with the plain CPU model {PLAIN_CPU}, {self.plain_guest.sentence}"
        return f"with the host's CPU model, {self.guest.sentence}; {with_plain}"


def look_at_kvm(host: Host, try_guest: TryGuest = run_guest, *, thorough: bool) -> KvmFacts:
    """Gather the facts. Unless ``thorough``, the first one that speaks against KVM is the last one.

    Raises HostError when QEMU is not there.
    """
    flag = host.cpu().virtualization
    if not flag and not thorough:
        return KvmFacts(flag)
    device = examine(host.path("/dev/kvm"))
    if not device.ok:
        return KvmFacts(flag, device)
    deadline = Deadline(stretched(PATIENCE))
    guest = try_guest("kvm", HOST_CPU, deadline)
    if guest.ok or not thorough or deadline.passed:
        return KvmFacts(flag, device, guest)
    return KvmFacts(flag, device, guest, try_guest("kvm", PLAIN_CPU, deadline))


def choose(requested: Accel, host: Host | None = None, try_guest: TryGuest = run_guest) -> AccelInfo:
    """The accelerator to run with, and why. Takes a fraction of a second; 10 s where KVM hangs.

    Raises HostError when KVM is requested and does not work.
    """
    if requested is Accel.TCG:
        return AccelInfo(name="tcg", reason="requested")
    return decide(requested, look_at_kvm(host or Host(), try_guest, thorough=requested is Accel.KVM))


def decide(requested: Accel, facts: KvmFacts) -> AccelInfo:
    """Judge the facts. Raises HostError when KVM is requested and does not work."""
    if requested is Accel.TCG:
        return AccelInfo(name="tcg", reason="requested")
    if requested is Accel.AUTO and not facts.flag:
        return AccelInfo(name="tcg", reason=NO_FLAG)
    if facts.guest and facts.guest.ok:
        return AccelInfo(name="kvm", reason=facts.guest.sentence)
    if requested is Accel.KVM:
        raise HostError(
            f"KVM was requested and does not work here: {facts.trouble}",
            hint="leave out `--accel kvm` to run by emulation (TCG, slower), or see `kvm-e2e doctor --accel kvm`",
        )
    return AccelInfo(name="tcg", reason=facts.trouble)
