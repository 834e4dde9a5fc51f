"""What QEMU's words and the guest's letters are turned into."""

import pytest

from kvm_action.accel.guest import GuestRun, quote
from kvm_action.accel.rom import ROM, ROM_BYTES, STAGES

INTERNAL = """qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.pni [bit 0]
KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000001
emulation failure
RAX=0000000000000007 RBX=0000000000000000 RCX=0000000000000000 RDX=00000000000003f8
"""
MSR = """qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69
qemu-system-x86_64: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == ...' failed.
"""
DENIED = """Could not access KVM kernel module: Permission denied
qemu-system-x86_64: failed to initialize kvm: Permission denied
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (INTERNAL, "KVM internal error. Suberror: 1 (emulation failure)"),
        (MSR, "failed to set MSR 0x10a to 0x69"),
        (DENIED, "Could not access KVM kernel module: Permission denied"),
        ("qemu-system-x86_64: -accel nope: invalid accelerator nope\n", "-accel nope: invalid accelerator nope"),
        ("qemu-system-x86_64: warning: old news\n", ""),
    ],
)
def test_the_line_that_explains_is_quoted_without_noise(text: str, expected: str) -> None:
    assert quote(text) == expected


def test_a_guest_that_misses_a_stage_did_not_run() -> None:
    assert GuestRun("RPLSCT", "", 0.1).ok
    assert not GuestRun("RPLSC", "", 0.1).ok
    assert not GuestRun("RPLCT", "", 0.1).ok
    assert not GuestRun("", "", 0.1).ok


def test_the_sentence_names_the_last_stage() -> None:
    assert "after reaching real mode" in GuestRun("R", "silence", 1.0).sentence
    assert "before its first instruction: no KVM" in GuestRun("", "no KVM", 1.0).sentence


def test_the_rom_begins_where_a_cpu_begins() -> None:
    assert len(ROM) == ROM_BYTES
    jump, distance = ROM[-16], int.from_bytes(ROM[-15:-14], signed=True)
    assert jump == 0xEB  # a short jump
    assert ROM[-16 + 2 + distance] == 0xFC  # to the copying code, which begins with CLD
    assert len(STAGES) == 6
