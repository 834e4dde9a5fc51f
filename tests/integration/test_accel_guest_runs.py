"""The test guest in a real QEMU."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action import proc
from kvm_action.accel import choose, look_at_kvm
from kvm_action.accel import rom as rom_module
from kvm_action.accel.device import examine
from kvm_action.accel.guest import GuestRun, run_guest
from kvm_action.accel.rom import ROM
from kvm_action.errors import HostError
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host
from kvm_action.wait import Deadline

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("cpu", ["qemu64", "max,-cx16"])
def test_the_guest_can_pass_at_all(cpu: str) -> None:
    ran = run_guest("tcg", cpu, Deadline(timedelta(seconds=20)))
    assert ran.ok, ran.sentence


def test_a_guest_that_cannot_start_is_told_in_qemus_words() -> None:
    ran = run_guest("tcg", "no-such-model", Deadline(timedelta(seconds=20)))
    assert not ran.ok
    assert "no-such-model" in ran.words


def test_a_guest_that_is_not_done_in_time_is_stopped() -> None:
    ran = run_guest("tcg", "max", Deadline(timedelta(0)))
    assert not ran.ok
    assert "still there" in ran.words


def test_the_machine_code_is_that_of_its_source(tmp_path: Path) -> None:
    if not shutil.which("as"):
        pytest.skip("needs binutils")
    source = Path(rom_module.__file__).with_name("rom.S")
    assert proc.run(["as", "--64", source, "-o", tmp_path / "rom.o"]).ok
    linked: list[str | Path] = [
        "-Ttext=0x7c00",
        "-e",
        "start",
        "--oformat",
        "binary",
        "-o",
        tmp_path / "rom.bin",
        tmp_path / "rom.o",
    ]
    assert proc.run(["ld", *linked]).ok
    assert (tmp_path / "rom.bin").read_bytes() == ROM[-1024:]


def test_auto_and_forced_kvm_agree_with_what_a_guest_does_here() -> None:
    facts = look_at_kvm(Host(), thorough=True)
    works = facts.guest is not None and facts.guest.ok
    assert choose(Accel.AUTO).name == ("kvm" if works and facts.flag else "tcg")
    if works:
        assert choose(Accel.KVM).name == "kvm"
    else:
        with pytest.raises(HostError, match=re.escape(facts.trouble[:40])):
            choose(Accel.KVM)


@pytest.mark.skipif(not examine().ok, reason="needs a /dev/kvm that makes virtual CPUs")
def test_a_failing_guest_is_tried_with_a_plain_cpu_only_when_somebody_wants_the_details() -> None:
    tried: list[str] = []

    def fails(accel: str, cpu: str, deadline: Deadline) -> GuestRun:
        tried.append(f"{accel} {cpu}")
        return GuestRun("", cpu, 0.1)

    assert look_at_kvm(Host(), fails, thorough=True).plain_guest == GuestRun("", "qemu64", 0.1)
    assert tried == ["kvm host", "kvm qemu64"]
