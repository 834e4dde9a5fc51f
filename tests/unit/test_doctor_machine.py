"""The machine itself, on hosts made of files: CPU, KVM, memory, tuning, load."""

from pathlib import Path

import pytest

from kvm_action.doctor import Level, cpu, kvm, memory, speed, tuning
from kvm_action.procfs import Host, parse_cpuinfo

GIB = 1 << 30


def host(root: Path, files: dict[str, str]) -> Host:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(root)


def cpuinfo(flags: str) -> str:
    return f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu {flags}\n"


def meminfo(**kib: int) -> str:
    return "".join(f"{name}: {value} kB\n" for name, value in kib.items())


def test_bare_metal_without_vmx_is_told_to_look_into_its_firmware() -> None:
    found = cpu.virtualization(parse_cpuinfo(cpuinfo("")), Level.WARNING)
    assert (found.level, "firmware" in found.mend) == (Level.WARNING, True)


def test_a_virtual_machine_without_vmx_is_told_that_its_own_host_must_allow_it() -> None:
    found = cpu.virtualization(parse_cpuinfo(cpuinfo("hypervisor")), Level.PROBLEM)
    assert found.level is Level.PROBLEM
    assert "nested=1" in found.mend
    assert all(line.startswith("#") for line in found.mend.splitlines()), "nothing here may run on this very host"


def test_a_cpu_with_svm_is_fine() -> None:
    found = cpu.virtualization(parse_cpuinfo(cpuinfo("svm")), Level.PROBLEM)
    assert (found.level, found.seen) == (Level.OK, "Some CPU, 1 CPU, svm")


def test_another_architecture_is_a_problem() -> None:
    assert cpu.architecture("aarch64").level is Level.PROBLEM
    assert cpu.architecture("x86_64").level is Level.OK


@pytest.mark.parametrize(("value", "word"), [("Y", "on"), ("1", "on"), ("0", "off"), ("N", "off")])
def test_the_nested_flag_is_read_in_both_spellings(tmp_path: Path, value: str, word: str) -> None:
    fake = host(tmp_path, {"/sys/module/kvm_amd/parameters/nested": f"{value}\n"})
    assert cpu.nested(fake).seen.startswith(f"{word} (kvm_amd)")


def test_a_missing_module_comes_with_the_commands_that_load_it_now_and_at_boot(tmp_path: Path) -> None:
    fake = host(tmp_path, {"/proc/cpuinfo": cpuinfo("vmx"), "/proc/modules": "kvm 1 0 - Live 0x0\n"})
    found = kvm.modules(fake, Level.WARNING)
    assert found.level is Level.WARNING
    assert "sudo modprobe kvm_intel" in found.mend
    assert "/etc/modules-load.d/kvm.conf" in found.mend


def test_a_loaded_module_is_fine(tmp_path: Path) -> None:
    modules = "kvm_amd 1 0 - Live 0x0\nkvm 1 1 kvm_amd, Live 0x0\n"
    fake = host(tmp_path, {"/proc/cpuinfo": cpuinfo("svm"), "/proc/modules": modules})
    assert kvm.modules(fake, Level.WARNING).seen == "kvm, kvm_amd"


def test_the_wrong_vendors_module_does_not_count(tmp_path: Path) -> None:
    fake = host(tmp_path, {"/proc/cpuinfo": cpuinfo("svm"), "/proc/modules": "kvm_intel 1 0 - Live 0x0\n"})
    assert kvm.modules(fake, Level.WARNING).level is Level.WARNING


def test_without_a_device_the_module_is_what_to_load(tmp_path: Path) -> None:
    found = kvm.device_node(host(tmp_path, {"/proc/cpuinfo": cpuinfo("vmx")}), Level.WARNING)
    assert (found.seen, "modprobe kvm_intel" in found.mend) == ("does not exist", True)


def test_a_device_of_ours_is_shown_as_ls_shows_it(tmp_path: Path) -> None:
    found = kvm.device_node(host(tmp_path, {"/dev/kvm": ""}), Level.WARNING)
    assert (found.level, found.seen.startswith("-rw-")) == (Level.OK, True)


@pytest.mark.parametrize(
    ("available_gib", "level"), [(8, Level.OK), (2, Level.WARNING), (0.5, Level.PROBLEM), (0, Level.PROBLEM)]
)
def test_memory_is_judged_by_what_is_available(tmp_path: Path, available_gib: float, level: Level) -> None:
    fake = host(
        tmp_path, {"/proc/meminfo": meminfo(MemTotal=8 << 20, MemAvailable=int(available_gib * (1 << 20)))}
    )
    assert memory.memory(fake).level is level


def test_a_containers_limit_counts_though_the_host_has_plenty(tmp_path: Path) -> None:
    files = {
        "/proc/meminfo": meminfo(MemTotal=64 << 20, MemAvailable=60 << 20),
        "/sys/fs/cgroup/memory.max": f"{2 * GIB}\n",
        "/sys/fs/cgroup/memory.current": f"{3 * GIB // 2}\n",
    }
    found = memory.memory(host(tmp_path, files))
    assert found.level is Level.PROBLEM
    assert "container may only take 512 MiB more" in found.seen


def test_cache_that_the_kernel_gives_back_is_not_taken(tmp_path: Path) -> None:
    files = {
        "/proc/meminfo": meminfo(MemTotal=64 << 20, MemAvailable=60 << 20),
        "/sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
        "/sys/fs/cgroup/memory.current": f"{8 * GIB - (100 << 20)}\n",
        "/sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {7 * GIB}\nslab 2\n",
    }
    assert memory.memory(host(tmp_path, files)).level is Level.OK


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    files = {"/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.current": "1\n"}
    assert memory.container_limit(host(tmp_path, files)) is None


@pytest.mark.parametrize(
    ("used", "available", "level", "mend"),
    [
        (0, 8 << 20, Level.OK, ""),
        (1 << 20, 8 << 20, Level.WARNING, "sudo swapoff -a"),
        (1 << 20, 1 << 20, Level.WARNING, "# give the host more memory, or end what is not needed"),
    ],
)
def test_swap_is_only_switched_off_where_memory_can_take_it(
    tmp_path: Path, used: int, available: int, level: Level, mend: str
) -> None:
    text = meminfo(MemAvailable=available, SwapTotal=2 << 20, SwapFree=(2 << 20) - used)
    found = memory.swap(host(tmp_path, {"/proc/meminfo": text}))
    assert (found.level, found.mend) == (level, mend)


def test_switched_off_huge_pages_slow_guests_down(tmp_path: Path) -> None:
    files = {"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}
    assert memory.huge_pages(host(tmp_path, files)).level is Level.WARNING


def test_reserved_huge_pages_that_eat_the_memory_are_a_warning(tmp_path: Path) -> None:
    text = meminfo(MemTotal=8 << 20, Hugepagesize=2048) + "HugePages_Total: 3000\n"
    found = memory.huge_pages(host(tmp_path, {"/proc/meminfo": text}))
    assert (found.level, "5.9 GiB reserved" in found.seen) == (Level.WARNING, True)


def test_reserved_huge_pages_are_told_with_numbers_and_no_worry(tmp_path: Path) -> None:
    counts = "HugePages_Total: 1024\nHugePages_Free: 1024\nHugePages_Rsvd: 24\n"
    found = memory.huge_pages(
        host(tmp_path, {"/proc/meminfo": meminfo(MemTotal=8 << 20, Hugepagesize=2048) + counts})
    )
    assert found.level is Level.OK
    assert "2.0 GiB reserved, 1000 of 1024 pages of 2.0 MiB free" in found.seen


def test_a_small_dev_shm_is_a_warning() -> None:
    assert memory.shared_memory(64 << 20).level is Level.WARNING
    assert memory.shared_memory(8 * GIB).level is Level.OK


def governor_files(governor: str, driver: str) -> dict[str, str]:
    folder = "/sys/devices/system/cpu/cpu0/cpufreq"
    return {f"{folder}/scaling_governor": f"{governor}\n", f"{folder}/scaling_driver": f"{driver}\n"}


@pytest.mark.parametrize(
    ("governor", "driver", "level"),
    [
        ("performance", "acpi-cpufreq", Level.OK),
        ("ondemand", "acpi-cpufreq", Level.WARNING),
        ("powersave", "intel_pstate", Level.OK),
        ("powersave", "acpi-cpufreq", Level.WARNING),
    ],
)
def test_a_sleepy_governor_is_a_warning_unless_the_driver_chooses(
    tmp_path: Path, governor: str, driver: str, level: Level
) -> None:
    assert tuning.governor(host(tmp_path, governor_files(governor, driver))).level is level


def test_the_governor_is_told_with_numbers(tmp_path: Path) -> None:
    folder = "/sys/devices/system/cpu/cpu1/cpufreq"
    more = {f"{folder}/scaling_governor": "performance\n", f"{folder}/scaling_driver": "acpi-cpufreq\n",
            f"{folder}/scaling_cur_freq": "1200000\n", f"{folder}/cpuinfo_max_freq": "3600000\n"}  # fmt: skip
    found = tuning.governor(host(tmp_path, governor_files("ondemand", "acpi-cpufreq") | more))
    assert found.seen.startswith("ondemand on 1 of 2 CPUs, performance on 1 of 2 CPUs, down to 1.2 of 3.6 GHz now")


def test_a_host_without_governor_is_fine(tmp_path: Path) -> None:
    assert tuning.governor(Host(tmp_path)).level is Level.OK


PRESSURE = (
    "some avg10={} avg60=47.11 avg300=40.76 total=569353592\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
)


@pytest.mark.parametrize(
    ("pressure", "load", "level"),
    [
        (PRESSURE.format("2.00"), "9.0", Level.OK),
        (PRESSURE.format("62.10"), "0.1", Level.WARNING),
        ("", "0.5", Level.OK),
        ("", "9.0", Level.WARNING),
    ],
)
def test_pressure_decides_where_the_kernel_tells_it(
    tmp_path: Path, pressure: str, load: str, level: Level
) -> None:
    files = {
        "/proc/cpuinfo": cpuinfo(""),
        "/proc/loadavg": f"{load} 1 1 3/144 1\n",
        "/proc/pressure/cpu": pressure,
    }
    assert speed.load(host(tmp_path, files)).level is level


def test_a_slow_processor_is_told_with_numbers() -> None:
    assert speed.judge_processor(0.2).level is Level.OK
    slow = speed.judge_processor(2.0)
    assert (slow.level, "100 thousand" in slow.seen) == (Level.WARNING, True)
