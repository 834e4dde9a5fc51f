"""What a broken session really means: a machine that died, rebooted, hangs, or only lost its SSH server."""

from datetime import timedelta
from typing import Final

from kvm_action.backends import evidence
from kvm_action.backends.boot_watch import BootWatch, hint_of_end, host_disk_full
from kvm_action.boot import Stage
from kvm_action.errors import BootError, E2EError, GuestConnectionError, NetworkError, ProvisionError
from kvm_action.hypervisor.domain import HOST_DISK_FULL, Domain
from kvm_action.wait import Deadline, until

SETTLE: Final = timedelta(seconds=20)


def explain(domain: Domain, watch: BootWatch, error: GuestConnectionError, *, was_up: bool) -> E2EError:
    """The error to tell instead of ``error``, if the machine knows more than the one who noticed it."""
    end = _settle(domain, watch)
    if not was_up:
        return watch.trouble(end, domain.last_words()) or _explain_restart(watch) or error
    if words := [line for line in domain.last_words() if "KVM internal error" in line]:
        # QEMU then only pauses: the domain has no end
        return BootError(f"the machine died of a {words[0]}", "this host's KVM cannot run it; try --accel tcg")
    return _explain_end(end) if end else _explain_silence(domain, watch, error)


def without_network(domain: Domain, watch: BootWatch, mac: str) -> NetworkError | None:
    """The error to tell of a guest that came up without an address, by what its agent says; None for any other."""
    if watch.log.stage is not Stage.LOGIN or not evidence.agent_answers(domain) or domain.address_of(mac):
        return None
    return NetworkError(
        "the guest is up, but its network is not: its card has no address",
        "does the image bring up a card by DHCP, as cloud-init tells it? see guest/journal.txt",
    )


def _explain_restart(watch: BootWatch) -> BootError | None:
    if watch.log.boots < 2 and not watch.log.going_down:
        return None
    return BootError("the guest rebooted before it was set up", "something in the image does it: see console.log")


def _settle(domain: Domain, watch: BootWatch) -> str:
    """Wait a little for the cause to show: a guest that goes down cuts its sessions first. Returns its end."""

    def shows() -> bool:
        log = watch.log  # asked each time: in a flood of words it is behind until then
        return bool(domain.end or log.boots > 1 or log.going_down or (log.diagnosis and log.diagnosis.fatal))

    if until(shows, Deadline(SETTLE), woken_by=watch.woken) and watch.log.going_down:
        until(lambda: domain.end or watch.log.boots > 1, Deadline(SETTLE), woken_by=watch.woken)
    return domain.end


def _explain_end(end: str) -> E2EError:
    if end == HOST_DISK_FULL:
        return host_disk_full()
    if "guest" in end:
        return ProvisionError(f"the machine stopped while it was being used: {end}", "see console.log")
    return BootError(f"the machine was lost: {end}", hint_of_end(end))


def _explain_silence(domain: Domain, watch: BootWatch, error: E2EError) -> E2EError:
    log = watch.log
    if log.boots > 1 or log.going_down:
        return ProvisionError(
            "the guest rebooted while it was being used", "a script under test must not reboot its machine"
        )
    if log.diagnosis and log.diagnosis.fatal:
        return ProvisionError(f"{log.diagnosis.cause}", log.diagnosis.hint)
    if evidence.agent_answers(domain):
        return ProvisionError(
            "the guest runs, but its SSH session was cut",
            "did the script stop sshd or the network? see guest/",
        )
    return error
