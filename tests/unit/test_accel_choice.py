"""KVM or emulation: the order of the looks, and what a user is told."""

from pathlib import Path

import pytest

from kvm_action.accel import KvmFacts, choose, decide
from kvm_action.accel.device import DeviceState
from kvm_action.accel.guest import GuestRun
from kvm_action.errors import ExitCode, HostError
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host
from kvm_action.wait import Deadline

RAN = GuestRun("RPLSCT", "", 0.2)
MSR = GuestRun("", "failed to set MSR 0x10a to 0x69", 0.05)
INTERNAL = GuestRun("RPL", "KVM internal error. Suberror: 1 (emulation failure)", 0.2)


def must_not_run(accel: str, cpu: str, deadline: Deadline) -> GuestRun:
    raise AssertionError(f"a guest was started with {accel} and {cpu}")


def host(tmp_path: Path, flags: str) -> Host:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse2\n")
    return Host(tmp_path)


def test_tcg_is_taken_without_looking_at_anything_when_it_is_requested(tmp_path: Path) -> None:
    assert choose(Accel.TCG, Host(tmp_path), must_not_run).name == "tcg"


def test_a_cpu_without_virtualization_means_tcg_at_once(tmp_path: Path) -> None:
    chosen = choose(Accel.AUTO, host(tmp_path, ""), must_not_run)
    assert (chosen.name, "neither vmx nor svm" in chosen.reason) == ("tcg", True)


def test_a_missing_device_means_tcg_and_is_named(tmp_path: Path) -> None:
    chosen = choose(Accel.AUTO, host(tmp_path, "vmx"), must_not_run)
    assert chosen.name == "tcg"
    assert chosen.reason.endswith("/dev/kvm does not exist")


def test_a_file_that_is_no_kvm_device_means_tcg(tmp_path: Path) -> None:
    fake = host(tmp_path, "svm")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kvm").write_text("")
    assert "cannot be asked for its API version" in choose(Accel.AUTO, fake, must_not_run).reason


def test_only_a_guest_that_ran_to_its_end_means_kvm() -> None:
    assert decide(Accel.AUTO, KvmFacts("vmx", DeviceState(), RAN)).name == "kvm"
    assert decide(Accel.AUTO, KvmFacts("vmx", DeviceState(), INTERNAL)).name == "tcg"
    assert decide(Accel.AUTO, KvmFacts("vmx", DeviceState())).name == "tcg"


def test_the_reason_for_tcg_says_how_far_the_guest_came() -> None:
    reason = decide(Accel.AUTO, KvmFacts("vmx", DeviceState(), INTERNAL)).reason
    assert reason == (
        "a test guest stopped after reaching long mode with paging: "
        "KVM internal error. Suberror: 1 (emulation failure)"
    )


def test_forced_kvm_that_fails_is_the_hosts_fault_in_qemus_words() -> None:
    with pytest.raises(HostError) as caught:
        decide(Accel.KVM, KvmFacts("", DeviceState(), MSR, INTERNAL))
    assert "failed to set MSR 0x10a" in caught.value.message
    assert "KVM internal error" in caught.value.message
    assert "--accel kvm" in caught.value.hint
    assert caught.value.exit_code == ExitCode.INFRASTRUCTURE


def test_forced_kvm_runs_where_a_guest_runs_though_no_flag_is_shown() -> None:
    assert decide(Accel.KVM, KvmFacts("", DeviceState(), RAN)).name == "kvm"


def test_forced_kvm_names_the_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="/dev/kvm does not exist"):
        choose(Accel.KVM, host(tmp_path, ""), must_not_run)
