"""A plan's tuning reaches QEMU, is refused with numbers where it cannot be had, and never changes the host."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_hostile_guests import FLOOD
from tooling import BOOT, Tool, has_started, wait_for

from kvm_action.procfs import Host

pytestmark = pytest.mark.slow

MIB = 1 << 20
PAGES = Path("/proc/sys/vm/nr_hugepages")
TUNED = "machine: {memory: 128MiB, cpus: 1, hugepages: true, disk_cache: none, disk_io: native}\n"


@pytest.fixture
def disk(tool: Tool) -> Path:
    """Something that runs for a while without an operating system."""
    disk = tool.folder / "busy.raw"
    disk.write_bytes(FLOOD.ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB))
    return disk


@pytest.fixture
def reserved() -> Iterator[int]:
    """Huge pages for one small machine, as an administrator sets them apart; given back afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to set huge pages apart as an administrator does")
    before = PAGES.read_text()
    PAGES.write_text(f"{int(before) + 70}\n")
    try:
        free = Host().huge_pages().free
        if free < 64:
            pytest.skip(f"the kernel found only {free} huge pages")
        yield free
    finally:
        PAGES.write_text(before)


def test_a_machines_memory_comes_from_huge_pages_and_goes_back_to_them(
    tool: Tool, disk: Path, reserved: int
) -> None:
    plan = tool.write_plan(TUNED + "provision: {run: 'true'}\n")
    process, out = tool.start("run", str(plan), "--image", str(disk), "--start", "boot")
    wait_for(lambda: has_started(out, "network"), BOOT, "the machine to start")
    assert reserved - Host().huge_pages().free == 64
    assert "cache='none' io='native'" in (out / "domain.xml").read_text()
    process.send_signal(signal.SIGTERM)
    ended = tool.wait(process, out)
    assert ended.status == 143, ended.stdout + ended.stderr
    wait_for(lambda: Host().huge_pages().free == reserved, 10, "the pages to be free again")


def test_too_few_huge_pages_are_told_with_numbers_before_anything_is_made(tool: Tool, disk: Path) -> None:
    before = PAGES.read_text()
    plan = tool.write_plan("machine: {memory: 2TiB, hugepages: true}\nprovision: {run: 'true'}\n")
    ended = tool("run", str(plan), "--image", str(disk), timeout=60)
    assert ended.status == 3
    assert "the plan asks for 2.0 TiB in huge pages, 1048576 of 2.0 MiB" in ended.failure["message"]
    assert "sysctl -w vm.nr_hugepages=" in ended.failure["hint"]
    assert ended.failure["class"] == "host"
    assert PAGES.read_text() == before
