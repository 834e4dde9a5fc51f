"""Scripts that misbehave, as their users see it: by the command line, to the exit status and the report."""

import json
from collections.abc import Iterator

import psutil
import pytest
from tooling import Ended, Tool, has_started, wait_for
from traces import traces

pytestmark = pytest.mark.slow

SMALL = "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\n"
LIMIT = 600
CUTS = "sudo sh -c 'for card in /sys/class/net/e*; do ip link set ${card##*/} down; done'; sleep 300"


@pytest.fixture
def untouched(tool: Tool) -> Iterator[Tool]:
    """The tool, of whose runs nothing may be left."""
    before = traces(tool)
    yield tool
    assert traces(tool) == before


def plan_of(tool: Tool, script: str, limit: str = "5m") -> str:
    return str(tool.write_plan(f"{SMALL}provision: {{run: {json.dumps(script)}, timeout: {limit}}}\n"))


def told(ended: Ended, status: int = 1) -> str:
    """What the run says of a failure that it explained."""
    assert ended.status == status, ended.stdout + ended.stderr
    assert ended.failure["step"] == "provision"
    assert (ended.out / "report.html").exists()
    assert "Traceback" not in ended.stderr
    return f"{ended.failure['message']}\n{ended.failure['hint']}"


def test_a_script_that_reboots_the_guest(untouched: Tool) -> None:
    ended = untouched("run", plan_of(untouched, "sudo systemctl reboot; sleep 300"), timeout=LIMIT)
    assert "rebooted while it was being used" in told(ended)


def test_a_script_that_stops_sshd(untouched: Tool) -> None:
    ended = untouched("run", plan_of(untouched, "sudo systemctl stop ssh.service"), timeout=LIMIT)
    assert "nothing answers as an SSH server" in told(ended)


def test_a_script_that_cuts_the_network(untouched: Tool) -> None:
    ended = untouched("run", plan_of(untouched, CUTS), timeout=LIMIT)
    assert "SSH session was cut" in told(ended)
    assert (ended.out / "guest/journal.txt").stat().st_size > 1000


def test_a_script_that_fills_the_disk(untouched: Tool) -> None:
    fills = "sudo fallocate -l $(df --output=avail -B1 / | tail -n 1) /big; cp /usr/bin/git git-2"
    assert "disk is full" in told(untouched("run", plan_of(untouched, fills), timeout=LIMIT))


def test_a_script_that_hangs_ends_with_its_limit(untouched: Tool) -> None:
    ended = untouched("run", plan_of(untouched, "echo before; sleep 4321 & wait", "5s"), timeout=LIMIT)
    assert "still running after 5s" in told(ended)
    assert (ended.out / "provision.log").read_text() == "before\n"


def test_a_script_that_is_killed_from_elsewhere(untouched: Tool) -> None:
    assert "SIGKILL" in told(untouched("run", plan_of(untouched, "kill -9 $$"), timeout=LIMIT))


def test_two_hundred_megabytes_of_output(untouched: Tool) -> None:
    ended = untouched("run", plan_of(untouched, "head -c 150000000 /dev/zero | base64 -w 99"), timeout=LIMIT)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert (ended.out / "provision.log").stat().st_size == 200_000_000 + -(-200_000_000 // 99)
    assert (ended.out / "events.jsonl").stat().st_size < 64 << 20
    assert ended.result["measures"]["tool_memory_peak_bytes"] < 200 << 20


def test_a_guest_that_stands_still_under_the_script(untouched: Tool) -> None:
    """As a host does that stops scheduling it: QEMU is there, and runs no instruction."""
    process, out = untouched.start("run", plan_of(untouched, "echo begun; sleep 300"))
    wait_for(lambda: has_started(out, "provision"), LIMIT, "the script to begin")
    [machine] = untouched.machines()
    [qemu] = [each for each in psutil.process_iter(["cmdline"]) if machine in (each.info["cmdline"] or ())]
    qemu.suspend()
    ended = untouched.wait(process, out, timeout=LIMIT)
    assert not qemu.is_running()
    assert "the guest has been silent for" in told(ended, 3)
