"""/proc and /sys of other machines."""

from pathlib import Path

import pytest

from kvm_action.procfs import Host, parse_cpuinfo, parse_meminfo, parse_modules

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) E-2388G CPU @ 3.20GHz
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr vmx smx est tm2 ssse3 sdbg fma
vmx flags\t: vnmi preemption_timer invvpid ept_x_only ept_ad

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) E-2388G CPU @ 3.20GHz
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr vmx smx est tm2 ssse3 sdbg fma
"""
AMD_NESTED = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7763 64-Core Processor
flags\t\t: fpu vme de svm hypervisor lahf_lm npt nrip_save
"""
CLOUD = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz
flags\t\t: fpu vme de hypervisor lahf_lm
"""
ARM = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes
"""


@pytest.mark.parametrize(
    ("text", "flag", "module", "count", "virtual"),
    [
        (INTEL, "vmx", "kvm_intel", 2, False),
        (AMD_NESTED, "svm", "kvm_amd", 1, True),
        (CLOUD, "", "", 1, True),
        (ARM, "", "", 1, False),
        ("", "", "", 0, False),
    ],
)
def test_virtualization_is_read_from_the_flags(
    text: str, flag: str, module: str, count: int, virtual: bool
) -> None:
    cpu = parse_cpuinfo(text)
    assert (cpu.virtualization, cpu.kvm_module, cpu.count, cpu.is_virtual) == (flag, module, count, virtual)


def test_memory_is_in_bytes_and_pages_are_counted() -> None:
    parsed = parse_meminfo("MemTotal:       24683656 kB\nHugePages_Total:      16\nHugepagesize:       2048 kB\n")
    assert parsed == {"MemTotal": 24683656 << 10, "HugePages_Total": 16, "Hugepagesize": 2 << 20}


def test_modules_are_the_first_words() -> None:
    text = "kvm_amd 184320 0 - Live 0x0000000000000000\nkvm 1384448 1 kvm_amd, Live 0x0000000000000000\n"
    assert parse_modules(text) == {"kvm_amd", "kvm"}


def test_a_host_without_a_file_is_no_error(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert (host.text("/proc/cpuinfo"), host.memory(), host.modules()) == ("", {}, frozenset())


def test_built_in_modules_count_as_loaded(tmp_path: Path) -> None:
    (tmp_path / "sys/module/kvm_intel").mkdir(parents=True)
    assert Host(tmp_path).modules() == {"kvm_intel"}
