"""Machines that start from a template: they are quick, they are others, and they can be trusted or do not run."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from disks import LIAR, with_agent
from tooling import BOOT, IMAGES, Ended, Tool, has_started, wait_for
from traces import lost_memory

from kvm_action.backends.kvm import KvmBackend, VirtualMachine
from kvm_action.backends.settings import Settings
from kvm_action.backends.template_start import freezer_of, frozen_spec, shape_of
from kvm_action.frozen import Draft, TemplateStore
from kvm_action.frozen.model import stamp_of
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import domain_xml
from kvm_action.hypervisor.launching import launched
from kvm_action.images.store import Store
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Accel, Keep, StartMode
from kvm_action.runs import new_run_id

SMALL = "machine: {image: debian-12, memory: 768MiB, cpus: 2}\nsnapshots: []\n"
TELL = r"""
echo machine-id $(cat /etc/machine-id)
echo dbus-id $(cat /var/lib/dbus/machine-id 2>/dev/null || cat /etc/machine-id)
echo host-key $(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)
echo uuid $(cat /proc/sys/kernel/random/uuid)
echo urandom $(od -An -N16 -tx1 /dev/urandom | tr -d ' ')
echo mac $(cat /sys/class/net/e*/address)
echo hostname $(hostname)
echo hosts $(grep -c "$(hostname)" /etc/hosts) $(grep -cw template /etc/hosts)
echo clock $(date +%s.%N)
echo keys $(ls /etc/ssh/ssh_host_* | wc -l) $(wc -l < ~/.ssh/authorized_keys)
echo journal $(sudo journalctl -b -o cat -n 1 | wc -l)
echo timers $(systemctl list-timers --no-legend | wc -l) $(systemctl is-active cron)
"""
MUST_DIFFER = ("machine-id", "dbus-id", "host-key", "uuid", "urandom", "mac", "hostname")


def plan_that_tells(tool: Tool, more: str = "") -> Path:
    return tool.write_plan(SMALL + f"provision: {{run: {json.dumps(TELL + more)}}}\n", "tell.yml")


def told(ended: Ended) -> dict[str, str]:
    lines = (ended.out / "provision.log").read_text(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def assert_started_from_a_template(ended: Ended) -> None:
    assert ended.status == 0, ended.stdout + ended.stderr
    start = ended.result["start"]
    assert start["mode"] == "template", start
    assert abs(start["clock_difference"]) < 1


def test_two_machines_of_one_template_side_by_side_share_nothing_that_must_differ(tool: Tool) -> None:
    plan, began = plan_that_tells(tool, "sleep 8"), time.time()
    with ThreadPoolExecutor(2) as both:
        ends = list(
            both.map(lambda started: tool.wait(*started), [tool.start("run", str(plan)) for _ in range(2)])
        )
    for ended in ends:
        assert_started_from_a_template(ended)
    one, other = (told(ended) for ended in ends)
    for name in MUST_DIFFER:
        assert one[name], name
        assert one[name] != other[name], name
    template = json.loads(next((tool.home / "templates").glob("*/template.json")).read_text())["identity"]
    for machine in (one, other):
        assert template["machine_id"] != machine["machine-id"]
        assert template["host_key"].split()[1] != machine["host-key"]
        assert began < float(machine["clock"]) < time.time()
        assert machine["hosts"] == "1 0"
        assert machine["keys"] == "2 1"
        assert machine["journal"] == "1"
        assert machine["timers"].endswith(" active")
    assert len({ended.result["start"]["template"] for ended in ends}) == 1


@pytest.mark.slow
def test_a_template_an_hour_old_by_the_guests_clock_starts_with_the_right_time(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'date +%s.%N'}\nuser: {name: hourglass}\n")
    with machine_of(tool, plan) as machine:
        shape = shape_of(machine, StartMode.TEMPLATE)
        freezer = freezer_of(machine, shape)

        def an_hour_ago(draft: Draft) -> AbstractContextManager[Domain]:
            xml = domain_xml(frozen_spec(machine.spec(), draft))
            old = xml.replace("<clock offset='utc'>", "<clock offset='variable' adjustment='-3600'>")
            assert old != xml
            return launched(
                machine.connection, frozen_spec(machine.spec(), draft).name, old, freezer.watch.on_console
            )

        replace(freezer, launch=an_hour_ago).freeze()
    before = time.time()
    ended = tool("run", str(plan))
    assert_started_from_a_template(ended)
    assert ended.result["start"]["template"] == shape.key
    clock = float((ended.out / "provision.log").read_text())
    assert before < clock < time.time()


def test_a_template_that_was_tampered_with_is_dropped_and_the_run_still_passes(tool: Tool) -> None:
    plan = plan_that_tells(tool)
    assert_started_from_a_template(tool("run", str(plan)))
    store = TemplateStore((tool.home / "templates").resolve())
    template = next(each for each in store.list() if each.shape.user == "testuser")
    manifest = template.folder / "template.json"
    text = manifest.read_text()
    manifest.write_text(text.replace(template.identity.nonce, "0" * 32))
    ended = tool("run", str(plan))
    assert ended.status == 0, ended.stdout
    assert ended.result["start"]["mode"] == "boot"
    assert "nonce" in ended.result["start"]["reason"]
    assert not template.folder.exists()


def test_a_run_that_is_interrupted_while_it_makes_a_template_leaves_no_half_of_one(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\nuser: {name: hasty}\n")
    process, out = tool.start("run", str(plan))
    console = out / "template-console.log"
    wait_for(lambda: console.exists() and console.stat().st_size > 200, BOOT, "the template's boot")
    process.send_signal(signal.SIGTERM)
    ended = tool.wait(process, out, timeout=30)
    assert (ended.status, ended.seconds < 7) == (143, True), ended.stdout
    assert ended.result["outcome"] == "interrupted"
    assert not list((tool.home / "templates").glob(".new-*"))
    made = {template.shape.user for template in TemplateStore((tool.home / "templates").resolve()).list()}
    assert "hasty" not in made


@pytest.mark.slow
def test_an_image_file_that_moved_and_a_template_whose_disk_leads_nowhere_fail_no_run(
    tool: Tool, images: Path
) -> None:
    plan = tool.write_plan("machine: {memory: 768MiB, cpus: 2}\nsnapshots: []\nprovision: {run: 'true'}\n")
    name = json.loads((images / "names/debian-12.json").read_text())["sha256"]
    first, second = tool.folder / "a/disk.qcow2", tool.folder / "b/disk.qcow2"
    for place in (first, second):
        place.parent.mkdir()
    shutil.copyfile(images / f"files/{name}.qcow2", first)
    assert_started_from_a_template(tool("run", str(plan), "--image", str(first), timeout=2 * BOOT))
    first.rename(second)
    assert_started_from_a_template(tool("run", str(plan), "--image", str(second), timeout=2 * BOOT))
    second.rename(first)
    second.symlink_to(first)  # the same path, resolved: the first template's
    template = next(
        each
        for each in TemplateStore((tool.home / "templates").resolve()).list()
        if each.shape.image_path == str(first)
    )
    subprocess.run(["qemu-img", "rebase", "-u", "-b", "/nowhere", "-F", "qcow2", template.disk], check=True)
    manifest = json.loads((template.folder / "template.json").read_text())
    manifest["stamps"]["disk.qcow2"] = stamp_of(template.disk)
    (template.folder / "template.json").write_text(json.dumps(manifest))
    ended = tool("run", str(plan), "--image", str(second))
    assert ended.status == 0, ended.stdout
    assert (ended.result["start"]["mode"], template.folder.exists()) == ("boot", False)


@pytest.mark.slow
def test_restore_keeps_the_memory_in_the_saved_state(tool: Tool) -> None:
    plan = plan_that_tells(tool)
    tool("run", str(plan), "--start", "restore")
    ended = tool("run", str(plan), "--start", "restore")
    assert ended.status == 0, ended.stdout
    assert ended.result["start"]["mode"] == "restore"
    assert ended.result["milestones"]["ssh_authenticated"] < 10


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["", LIAR], ids=["no agent", "an agent that lies"])
def test_a_guest_whose_agent_cannot_be_trusted_boots_and_the_next_run_does_not_try_again(
    tool: Tool, images: Path, agent: str
) -> None:
    disk = with_agent(images, tool.folder, agent)
    plan = tool.write_plan("machine: {memory: 768MiB, cpus: 2}\nsnapshots: []\nprovision: {run: 'true'}\n")
    for reason in ("agent", "an earlier try failed"):
        ended = tool("run", str(plan), "--image", str(disk), timeout=2 * BOOT)
        assert ended.status == 0, ended.stdout + ended.stderr
        assert ended.result["start"]["mode"] == "boot"
        assert reason in ended.result["start"]["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("image", IMAGES)
def test_every_image_starts_from_a_template(tool: Tool, image: str) -> None:
    plan = plan_that_tells(tool)
    tool("run", str(plan), "--image", image)
    assert_started_from_a_template(tool("run", str(plan), "--image", image))


@pytest.mark.slow
@pytest.mark.parametrize(
    "sign",
    [
        ".new-*",
        ".new-*/disk.qcow2",
        ".new-*/seed.iso",
        ".new-*/state.bin",
        "[!.]*/disk.qcow2",
    ],
)
def test_killed_at_any_stage_of_making_a_template_the_next_run_makes_it(tool: Tool, sign: str) -> None:
    """Struck when the ``sign`` of the stage appears."""
    plan = plan_that_tells(tool)
    tool("template", "remove", "--all")
    process, _out = tool.start("run", str(plan))
    wait_for(lambda: list((tool.home / "templates").glob(sign)), BOOT, f"the maker to come to {sign}", every=0.001)
    assert_killed_without_a_trace(tool, process, plan)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_of_waking_the_next_run_works_and_nothing_is_left(tool: Tool, seed: int) -> None:
    plan = plan_that_tells(tool)
    tool("template", "build", str(plan))
    process, out = tool.start("run", str(plan))
    wait_for(lambda: has_started(out, "launch"), 20, "the machine to wake")
    time.sleep(random.Random(seed).uniform(0, 3))
    assert_killed_without_a_trace(tool, process, plan)


def assert_killed_without_a_trace(tool: Tool, process: subprocess.Popen[str], plan: Path) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not tool.machines(), 20, "the machine to be gone")
    assert tool("reap").status == 0
    assert_started_from_a_template(tool("run", str(plan)))
    assert not list((tool.home / "templates").glob(".new-*"))
    assert not list(lost_memory(tool.home / "templates"))


@pytest.mark.slow
def test_twenty_machines_at_once_each_proved(tool: Tool) -> None:
    plan = tool.write_plan(
        "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\n"
        f"provision: {{run: {json.dumps(TELL + 'sleep 20')}}}\n"
    )
    assert tool("template", "build", str(plan)).status == 0
    started = [tool.start("run", str(plan)) for _ in range(20)]
    with ThreadPoolExecutor(20) as everyone:
        ends = list(everyone.map(lambda each: tool.wait(*each, timeout=600), started))
    for ended in ends:
        assert_started_from_a_template(ended)
    for name in MUST_DIFFER:
        assert len({told(ended)[name] for ended in ends}) == 20, name


@contextmanager
def machine_of(tool: Tool, plan: Path) -> Iterator[VirtualMachine]:
    settings = Settings(
        run=new_run_id(datetime.now(UTC)),
        image="debian-12",
        accel=Accel.AUTO,
        keep=Keep.NEVER,
        store=Store(tool.home / "images"),
        runs=tool.home / "runs",
        templates=tool.home / "templates",
        out=tool.folder,
    )
    with KvmBackend(load_plan(plan).plan, settings, lambda _event: None).machine() as machine:
        assert isinstance(machine, VirtualMachine)
        yield machine
