"""UEFI: a disk that boots by it, and one that does not."""

from pathlib import Path

import pytest
from disks import with_efi_boot_loader
from tooling import Tool

pytestmark = pytest.mark.slow

UEFI = "machine: {image: debian-12, memory: 768MiB, cpus: 2, firmware: uefi}\nsnapshots: []\n"


def test_a_disk_with_an_efi_boot_loader_boots_by_uefi(tool: Tool, images: Path) -> None:
    disk = with_efi_boot_loader(images, tool.folder)
    plan = tool.write_plan(UEFI + "provision: {run: test -d /sys/firmware/efi}\n")
    ended = tool("run", str(plan), "--image", str(disk), "--start", "boot")
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.result["milestones"]["firmware"] < ended.result["milestones"]["kernel"]


def test_a_machine_with_uefi_starts_from_a_template(tool: Tool, images: Path) -> None:
    disk = with_efi_boot_loader(images, tool.folder)
    plan = tool.write_plan(UEFI + "provision: {run: test -d /sys/firmware/efi}\n")
    ended = tool("run", str(plan), "--image", str(disk), "--start", "template")
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.result["start"]["mode"] == "template", ended.result["start"]


def test_an_image_that_boots_by_bios_is_told_that_it_does_not_boot_by_uefi(tool: Tool) -> None:
    ended = tool("run", str(tool.write_plan(UEFI + "provision: {run: 'true'}\n")), timeout=90)
    assert ended.status == 3
    assert ended.failure["class"] == "boot"
    assert "UEFI firmware found nothing" in ended.failure["message"]
    assert "firmware: bios" in ended.failure["hint"]
