"""libvirt and QEMU killed in each step: the run says so, ends everything, and the next run is green."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from system_libvirt import NETWORK, SystemLibvirt, system_libvirt
from tooling import Ended, Tool, has_started, machines_below, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a libvirtd of its own in namespaces"),
]

PLAN = """
machine: {image: debian-12, memory: 768MiB, cpus: 2}
provision: {run: "sleep 6"}
checks: [{command: "sleep 4"}]
"""
QUICK = "machine: {image: debian-12, memory: 768MiB, cpus: 2}\nprovision: {run: 'true'}\nsnapshots: []\n"
STEPS = ("launch", "network", "ssh", "provision", "validate", "snapshot")


@pytest.fixture(scope="module")
def system(images: Path) -> Iterator[SystemLibvirt]:
    with system_libvirt(images) as libvirt:
        yield libvirt


@dataclass(frozen=True)
class Victim:
    """A run in the namespaces, and the daemon that it uses."""

    tool: Tool
    system: SystemLibvirt
    options: tuple[str, ...]

    def run_until(self, step: str, kill: str) -> Ended:
        """Start a run and kill (by pid) a process as soon as ``step`` begins."""
        plan = self.tool.write_plan(PLAN)
        process, out = self.tool.start("run", str(plan), "--start", "boot", *self.options)
        wait_for(lambda: has_started(out, step) or process.poll() is not None, 400, step)
        if kill == "qemu":
            wait_for(lambda: self.pids("qemu-system") or process.poll() is not None, 20, "QEMU")
        for pid in self.pids({"qemu": "qemu-system", "libvirtd": "libvirtd"}[kill]):
            os.kill(pid, signal.SIGKILL)
        return self.tool.wait(process, out)

    def pids(self, program: str) -> list[int]:
        """The processes of ``program`` in these namespaces."""
        own = Path(f"/proc/{self.system.first}/ns/pid").readlink()
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if runs(path, program, own)]

    def restart_libvirt(self) -> None:
        if not self.pids("libvirtd"):
            self.system.run("libvirtd", "--daemon")
        wait_for(lambda: self.system.virsh("list", "--name") == "", 30, "libvirt without machines")


def runs(process: Path, program: str, namespace: Path) -> bool:
    try:
        argv = (process / "cmdline").read_bytes().split(b"\0")
        return program in Path(os.fsdecode(argv[0])).name and (process / "ns/pid").readlink() == namespace
    except OSError:
        return False


@pytest.fixture
def victim(system: SystemLibvirt, tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(system.tool(tmp_path), system, ("--set", f"machine.network={NETWORK}"))
    yield victim
    victim.tool.end()
    victim.restart_libvirt()  # which writes into the logs of machines that died meanwhile, and makes them anew
    logs = [left for left in system.leftovers() if left.startswith("/var/log/")]
    system.run("rm", "-f", *logs)
    assert not system.leftovers()


def assert_told(ended: Ended, words: tuple[str, ...]) -> None:
    assert ended.status == 3, ended.stdout + ended.stderr
    assert ended.result["outcome"] == "error"
    told = f"{ended.failure['message']} {ended.failure['hint']}"
    assert any(word in told for word in words), told
    assert (ended.out / "report.html").exists()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("step", STEPS)
def test_a_machine_that_is_killed_is_told_and_the_run_ends_at_once(victim: Victim, step: str) -> None:
    ended = victim.run_until(step, "qemu")
    assert_told(ended, ("QEMU died", "QEMU ended"))
    assert not machines_below(victim.tool.home)


@pytest.mark.parametrize("step", ["launch", "network"])
def test_without_libvirt_no_boot_goes_on(victim: Victim, step: str) -> None:
    ended = victim.run_until(step, "libvirtd")
    assert_told(ended, ("libvirt",))
    assert_ended_and_the_next_run_passes(victim)


@pytest.mark.parametrize("step", ["ssh", "provision", "validate", "snapshot"])
def test_a_script_is_judged_without_libvirt_too_and_its_machine_ends(victim: Victim, step: str) -> None:
    ended = victim.run_until(step, "libvirtd")
    assert ended.status == 0, ended.stdout + ended.stderr
    last = [each for each in ended.result["steps"] if each["name"] == "snapshot"][-1]
    assert (last["outcome"], "libvirt" in last["detail"] or "socket" in last["detail"]) == ("skipped", True)
    assert_ended_and_the_next_run_passes(victim)


def assert_ended_and_the_next_run_passes(victim: Victim) -> None:
    assert not machines_below(victim.tool.home), "the machine outlived its run"
    victim.restart_libvirt()
    plan = victim.tool.write_plan(QUICK)
    again = victim.tool("run", str(plan), "--start", "boot", "--set", "name=afterwards", *victim.options)
    assert again.status == 0, again.stdout + again.stderr
