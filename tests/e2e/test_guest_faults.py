"""Guests that run out of memory, jump in time, reboot for ever, or come up broken: each in the right words."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import with_cloud_config, with_unit
from tooling import Ended, Tool
from traces import traces

pytestmark = pytest.mark.slow

SMALL = "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\n"
NOTHING = f"{SMALL}provision: {{run: 'true'}}\n"
LIMIT = 600

EATS_MEMORY = """python3 -c '
eaten = []
while True:
    eaten.append(b"x" * (1 << 20))
'"""
JUMPS = """
before=$(date +%s)
sudo date -s '+1 day'; sleep 2; sudo date -s '-1 day'
test $(($(date +%s) - before)) -lt 60
"""
REBOOTS = """
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/systemctl reboot --force --force
"""
CUTS = """
[Unit]
StartLimitIntervalSec=0
After=network-online.target
[Service]
Restart=always
RestartSec=1
ExecStart=/bin/sh -c 'for card in /sys/class/net/e*; do ip link set $${card##*/} down; done'
"""
RESETS = bytes.fromhex("fa ea 00 00 ff ff")
"""A boot sector in real mode: cli; jmp 0xffff:0, which is where the firmware begins."""


@pytest.fixture
def untouched(tool: Tool) -> Iterator[Tool]:
    """The tool, of whose runs nothing may be left."""
    before = traces(tool)
    yield tool
    assert traces(tool) == before


def failed(ended: Ended, status: int, kind: str, step: str) -> str:
    """Message and hint of a run that failed as it should."""
    assert ended.status == status, ended.stdout + ended.stderr
    assert (ended.failure["class"], ended.failure["step"]) == (kind, step)
    assert (ended.out / "report.html").exists()
    assert "Traceback" not in ended.stderr
    return f"{ended.failure['message']}\n{ended.failure['hint']}"


def test_a_script_that_eats_all_memory_is_told_what_the_kernel_killed(untouched: Tool) -> None:
    plan = untouched.write_plan(f"{SMALL}provision: {{run: {json.dumps(EATS_MEMORY)}}}\n")
    ended = untouched("run", str(plan), timeout=LIMIT)
    told = failed(ended, 1, "provision", "provision")
    assert "status 137" in told
    assert "the guest ran out of memory, and its kernel killed python3: raise machine.memory" in told
    assert "Out of memory" in (ended.out / "guest/dmesg.txt").read_text(errors="replace")


def test_a_clock_that_jumps_a_day_and_back_changes_neither_verdict_nor_durations(untouched: Tool) -> None:
    plan = untouched.write_plan(f"{SMALL}provision: {{run: {json.dumps(JUMPS)}}}\nchecks: [{{port: 22}}]\n")
    ended = untouched("run", str(plan), timeout=LIMIT)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert 2 < ended.result["measures"]["provision_seconds"] < 120
    assert all(0 <= step["seconds"] < LIMIT for step in ended.result["steps"])


def test_a_boot_sector_that_resets_the_machine_for_ever_ends_within_seconds(untouched: Tool) -> None:
    disk = untouched.folder / "resets.raw"
    disk.write_bytes(RESETS.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    ended = untouched("run", str(untouched.write_plan(NOTHING)), "--image", str(disk), "--start", "boot")
    told = failed(ended, 3, "boot", "network")
    assert "reboots again and again" in told
    assert ended.seconds < 60


def test_a_guest_that_reboots_in_each_of_its_boots_ends_long_before_the_limit(
    untouched: Tool, images: Path
) -> None:
    disk = with_unit(images, untouched.folder, REBOOTS, "sysinit.target")
    ended = untouched("run", str(untouched.write_plan(NOTHING)), "--image", str(disk), "--start", "boot")
    told = failed(ended, 3, "boot", "network")
    assert "reboots again and again, and has now started 4 times" in told
    assert (ended.out / "console.log").read_text(errors="replace").count("Linux version") >= 3


def test_a_first_boot_whose_cloud_init_fails_is_told_with_the_module(untouched: Tool, images: Path) -> None:
    disk = with_cloud_config(images, untouched.folder, "runcmd: [[/bin/sh, -c, exit 7]]\n")
    ended = untouched("run", str(untouched.write_plan(NOTHING)), "--image", str(disk), "--start", "boot")
    told = failed(ended, 3, "boot", "ssh")
    assert "cloud-init failed in the guest" in told
    assert "scripts" in told
    assert "guest/cloud-init-output.log" in told
    assert (ended.out / "guest/cloud-init-output.log").stat().st_size > 0


def test_a_first_boot_that_needs_a_network_card_boots_and_makes_no_template(untouched: Tool, images: Path) -> None:
    disk = with_cloud_config(images, untouched.folder, "runcmd: [[/bin/sh, -c, ls -d /sys/class/net/e*]]\n")
    for reason in ("cloud-init fails in a machine without a network card", "an earlier try failed"):
        ended = untouched("run", str(untouched.write_plan(NOTHING)), "--image", str(disk), timeout=2 * LIMIT)
        assert ended.status == 0, ended.stdout + ended.stderr
        assert ended.result["start"]["mode"] == "boot"
        assert reason in ended.result["start"]["reason"]


def test_a_guest_whose_network_is_down_is_told_from_one_without_an_ssh_server(
    untouched: Tool, images: Path
) -> None:
    disk = with_unit(images, untouched.folder, CUTS, "multi-user.target")
    ended = untouched("run", str(untouched.write_plan(NOTHING)), "--image", str(disk), "--start", "boot")
    told = failed(ended, 3, "network", "network")
    assert "its card has no address" in told
    assert (ended.out / "guest/journal.txt").stat().st_size > 1000


def test_the_run_after_all_these_is_green(untouched: Tool) -> None:
    ended = untouched("run", str(untouched.write_plan(NOTHING)), timeout=LIMIT)
    assert ended.status == 0, ended.stdout + ended.stderr
