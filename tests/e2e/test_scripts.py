"""Scripts that misbehave, on one real machine that is booted once; the most destructive ones come last."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from kvm_action.backends.evidence import over_agent
from kvm_action.backends.kvm import KvmBackend, VirtualMachine
from kvm_action.backends.settings import Settings
from kvm_action.errors import E2EError, GuestConnectionError, ProvisionError
from kvm_action.events import Event, OutputLine
from kvm_action.images.store import Store
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.provision import provision
from kvm_action.output import Mask
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Accel, Keep, StartMode
from kvm_action.runs import new_run_id
from kvm_action.wait import Deadline

PLAN = "machine: {image: debian-12, memory: 768MiB, disk: 5GiB}\n"


def load(folder: Path, script: str, timeout: str = "5m") -> LoadedPlan:
    path = folder / "plan.yml"
    path.write_text(PLAN + f"provision: {{run: {json.dumps(script)}, timeout: {timeout}}}\n")
    return load_plan(path)


class Bench:
    """The machine, and a way to run one script after the other on it."""

    def __init__(self, machine: VirtualMachine, folder: Path, heard: list[Event]) -> None:
        self.machine = machine
        self.folder = folder
        self.heard = heard
        self.guest = machine.connect()

    def provision(self, script: str, timeout: str = "5m") -> RunContext:
        self.heard.clear()
        context = RunContext(
            id="run",
            loaded=load(self.folder, script, timeout),
            machine=self.machine,
            sink=self.heard.append,
            out=self.folder,
            mask=Mask([]),
        )
        context.guest = self.guest
        self.context = context
        provision(context)
        return context

    def shell(self, command: str) -> str:
        return self.guest.run(command, timeout=timedelta(minutes=1), sudo=True).text


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    heard: list[Event] = []
    loaded = load(folder, "true")
    settings = Settings(
        run=new_run_id(datetime.now(UTC)),
        image=loaded.plan.machine.image,
        accel=Accel.AUTO,
        keep=Keep.NEVER,
        store=Store(images),
        runs=folder / "runs",
        templates=folder / "templates",
        start=StartMode.BOOT,
        out=folder,
    )
    with KvmBackend(loaded.plan, settings, heard.append).machine() as machine:
        machine.check_host()
        machine.create_disk()
        machine.create_seed()
        machine.launch()
        machine.wait_for_network()
        yield Bench(machine, folder, heard)


def test_a_package_starts_its_service_as_on_any_machine(bench: Bench) -> None:
    left = bench.shell("ls /usr/sbin/policy-rc.d /sbin/start-stop-daemon.REAL 2>/dev/null || true")
    assert not left.strip()
    bench.shell("systemctl stop cron; deb-systemd-invoke start cron; invoke-rc.d cron status")
    assert bench.shell("systemctl is-active cron").strip() == "active"


def test_a_script_that_is_missing_gets_a_hint_about_the_plans_files(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match="status 127") as raised:
        bench.provision("./install.sh")
    assert "`files`" in raised.value.hint


def test_a_script_that_is_killed_is_told_from_one_that_fails(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match=r"status 137|SIGKILL") as raised:
        bench.provision("kill -9 $$")
    assert "memory" in raised.value.hint or "SIGKILL" in raised.value.message


def test_a_failing_command_in_the_middle_ends_the_script(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match="status 1"):
        bench.provision("false | cat; echo not reached")
    assert "not reached" not in bench.context.script_tail


def test_a_script_that_hangs_is_ended_at_its_limit_with_all_its_children(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match="still running after 5s"):
        bench.provision("echo before; sleep 4321 & wait", "5s")
    assert bench.context.script_tail == ("before",)
    assert bench.shell("pgrep -fx 'sleep 4321' || echo none") == "none"


def test_two_hundred_megabytes_of_output_are_kept_whole_without_filling_our_memory(bench: Bench) -> None:
    before = psutil.Process().memory_info().rss
    bench.provision("head -c 150000000 /dev/zero | base64 -w 99")
    assert (bench.folder / "provision.log").stat().st_size == 200_000_000 + -(-200_000_000 // 99)
    assert psutil.Process().memory_info().rss - before < 80 << 20
    assert len([event for event in bench.heard if isinstance(event, OutputLine)]) < 30_000
    (bench.folder / "provision.log").unlink()


def test_a_script_that_fills_the_guests_disk_is_told_so(bench: Bench) -> None:
    with pytest.raises(ProvisionError) as raised:
        bench.provision("sudo fallocate -l $(df --output=avail -B1 / | tail -n 1) /big; cp /usr/bin/git git-2")
    assert "disk is full" in raised.value.hint
    bench.shell("rm -f /big")


def test_a_script_that_breaks_ssh_does_not_pass(bench: Bench) -> None:
    with pytest.raises(ProvisionError, match="nothing answers as an SSH server"):
        bench.provision("sudo systemctl stop ssh.service")
    bench.shell("systemctl start ssh.service")


@pytest.mark.slow
def test_a_script_that_cuts_the_network_is_blamed_and_the_agent_still_gives_evidence(bench: Bench) -> None:
    with pytest.raises(E2EError) as raised:
        bench.provision(
            "sudo sh -c 'for card in /sys/class/net/e*; do ip link set ${card##*/} down; done'; sleep 300"
        )
    explained = bench.machine.explain(raised.value)
    assert isinstance(explained, ProvisionError), explained
    assert "SSH session was cut" in explained.message
    assert "guest agent" in bench.machine.collect_evidence(bench.folder, quickly=False)
    assert (bench.folder / "guest/journal.txt").stat().st_size > 1000


def test_a_script_that_reboots_the_guest_is_told_so(bench: Bench) -> None:
    mend = over_agent(bench.machine.domain)
    assert mend("for card in /sys/class/net/e*; do ip link set ${card##*/} up; done") is not None
    bench.guest.reconnect(Deadline(timedelta(minutes=2)))
    with pytest.raises(GuestConnectionError) as raised:
        bench.provision("sudo systemctl reboot; sleep 300")
    assert "rebooted" in bench.machine.explain(raised.value).message
