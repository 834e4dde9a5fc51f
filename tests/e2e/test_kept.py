"""A machine that was kept: one is booted, wound back and forth, made an image of, and ended last."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from tooling import BOOT, REPOSITORY, Ended, Tool, wait_for
from vnc import opens

from kvm_action.hypervisor.domain_xml import domain_name
from kvm_action.runs import LOCK

PLAN = """
name: kept-one
machine: {image: debian-12, memory: 768MiB, cpus: 2, disk: 5GiB}
provision:
  run: |
    echo 'mysql -psecret' > ~/.bash_history
    echo provisioned | sudo tee /etc/kept-mark
    sudo useradd --create-home other
    keys=/home/other/.ssh/authorized_keys
    echo 'ssh-ed25519 AAAAtheirs them' | sudo install -D -o other -m 600 /dev/stdin $keys
keep: always
"""
SLOW_STEP = 60


class Machine:
    """The kept machine as its user has it: by the command line, and by virsh."""

    def __init__(self, tool: Tool, ran: Ended) -> None:
        self.tool = tool
        self.ran = ran
        self.run = str(ran.result["id"])
        self.folder = tool.home / "runs" / self.run
        self.domain = domain_name(self.run)

    def __call__(self, *arguments: str, status: int = 0) -> Ended:
        ended = self.tool(*arguments, timeout=SLOW_STEP)
        assert ended.status == status, ended.stdout + ended.stderr
        return ended

    def ssh(self, command: str) -> str:
        return self("vm", "ssh", self.run, command).stdout.strip()

    def facts(self) -> dict[str, str]:
        [facts] = json.loads(self("vm", "list", "--json").stdout)
        return facts

    def virsh(self, *arguments: str) -> str:
        uri = json.loads((self.folder / "lease.json").read_text())["uri"]
        return subprocess.run(
            ["virsh", "--quiet", "--connect", uri, *arguments], check=True, capture_output=True, text=True
        ).stdout  # fmt: skip

    def snapshots(self) -> dict[str, dict]:
        listed = json.loads(self("snapshot", "list", self.run, "--json").stdout)
        return {each["name"]: each for each in listed}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("kept")
    folder.chmod(0o711)
    home = folder / "home"
    store = home / "images"
    shutil.copytree(images / "names", store / "names")
    (store / "files").mkdir()
    for file in (images / "files").iterdir():
        (store / "files" / file.name).symlink_to(file)
    tool = Tool(home, folder)
    try:
        ran = tool("run", str(tool.write_plan(PLAN)), timeout=BOOT)
        assert ran.status == 0, ran.stdout + ran.stderr
        yield Machine(tool, ran)
    finally:
        tool("vm", "destroy", "--all", timeout=SLOW_STEP)
    assert not list((home / "runs").iterdir())
    assert not tool.machines()


def test_the_run_took_both_snapshots_looked_whether_they_are_there_and_wrote_that_down(machine: Machine) -> None:
    written = json.loads((machine.ran.out / "snapshots.json").read_text())
    assert [(each["name"], each["parent"]) for each in written] == [
        ("clean-boot", None), ("provisioned", "clean-boot"),
    ]  # fmt: skip
    for each in written:
        assert each["verified"]
        assert (each["memory"], each["state"], each["created_by"]) == (True, "running", "kvm-e2e")
        assert each["bytes"] > 50 << 20
        assert 0 < each["seconds"] < 10
    assert machine.ran.result["measures"]["queued_seconds"] >= 0


def test_a_kept_machine_is_listed_with_its_plan_and_the_time_it_has(machine: Machine) -> None:
    facts = machine.facts()
    assert (facts["run"], facts["state"], facts["plan"]) == (machine.run, "running", "kept-one")
    assert datetime.fromisoformat(facts["kept_until"]).timestamp() > time.time() + 3 * 3600
    assert machine.run in machine("vm", "list").stdout
    assert machine.virsh("domstate", machine.domain).strip() == "running"


@pytest.mark.parametrize("name", ["last", "its beginning", "the domain"])
def test_one_logs_in_by_any_name_of_the_machine_and_gets_the_commands_status(machine: Machine, name: str) -> None:
    called = {"its beginning": machine.run[:6], "the domain": machine.domain}.get(name, name)
    ended = machine("vm", "ssh", called, "cat /etc/kept-mark; exit 7", status=7)
    assert ended.stdout == "provisioned\n"


def test_a_name_that_means_no_machine_is_met_with_those_that_there_are(machine: Machine) -> None:
    ended = machine("vm", "ssh", machine.run[:-1] + "x", status=2)
    assert f"did you mean {machine.run}?" in ended.stderr
    assert machine("snapshot", "list", "x", status=2).stderr.count(machine.run) == 1


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a\nb", "../x", "-x", "é", "x" * 65, "clean-boot"], ids=lambda name: repr(name)[:9]
)
def test_a_name_that_no_snapshot_can_have_is_refused_before_libvirt_is_asked(machine: Machine, name: str) -> None:
    before = machine.virsh("snapshot-list", machine.domain, "--name")
    ended = machine("snapshot", "create", "--", machine.run, name, status=2)
    assert "snapshot" in ended.stderr
    assert ended.stderr.isprintable() or "\n" in ended.stderr
    assert machine.virsh("snapshot-list", machine.domain, "--name") == before


def test_going_back_undoes_what_was_done_since_and_sets_the_clock(machine: Machine) -> None:
    machine.ssh("echo later > later; sync; sudo rm /etc/kept-mark")
    ended = machine("snapshot", "revert", machine.run, "provisioned")
    assert "a file written just before is gone" in ended.stdout
    assert "its randomness is fresh" in ended.stdout
    assert (
        machine.ssh("cat later /etc/kept-mark 2>&1; true") == "cat: later: No such file or directory\nprovisioned"
    )
    before = time.time()
    guest = float(machine.ssh("date +%s.%N"))
    assert before - 1 < guest < time.time() + 1
    assert machine.virsh("domstate", machine.domain).strip() == "running"
    assert machine.virsh("snapshot-current", machine.domain, "--name").strip() == "provisioned"


def test_a_snapshot_of_ones_own_branches_off_where_the_machine_stands(machine: Machine) -> None:
    machine("snapshot", "revert", machine.run, "clean-boot")
    assert machine.ssh("ls /etc/kept-mark 2>/dev/null || echo no mark") == "no mark"
    said = machine("snapshot", "create", machine.run, "mine_2.0").stdout
    assert "found again with" in said
    mine = machine.snapshots()["mine_2.0"]
    assert (mine["parent"], mine["current"], mine["verified"]) == ("clean-boot", True, True)
    assert mine["created_by"] == "kvm-e2e snapshot create"
    machine.virsh("snapshot-create-as", machine.domain, "by virsh")
    assert machine.snapshots()["by virsh"]["created_by"] == ""


def test_virsh_and_we_draw_the_same_tree(machine: Machine) -> None:
    theirs = parents(machine.virsh("snapshot-list", machine.domain, "--tree"), r"[ |]*\+- ")
    ours = parents(machine("snapshot", "list", machine.run, "--tree").stdout, r"[ │]*[├└]─ ")
    assert theirs == ours
    assert ours == {
        "clean-boot": None, "provisioned": "clean-boot", "mine_2.0": "clean-boot", "by virsh": "mine_2.0",
    }  # fmt: skip


def parents(tree: str, branch: str) -> dict[str, str | None]:
    """Each name in a drawn tree, and the name above it."""
    found: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in tree.splitlines():
        name = re.sub(f"^{branch}", "", line).strip().removesuffix(" *")
        if name.strip(" |│"):
            depth = len(line) - len(line.lstrip(" |│+-├└─"))
            path = [(at, above) for at, above in path if at < depth]
            found[name] = path[-1][1] if path else None
            path.append((depth, name))
    return found


def test_after_virsh_itself_went_back_one_can_still_log_in(machine: Machine) -> None:
    machine.virsh("snapshot-revert", machine.domain, "provisioned")
    assert machine.ssh("cat /etc/kept-mark") == "provisioned"


@pytest.mark.parametrize("by", ["us", "virsh"])
def test_a_machine_that_went_back_is_still_kept_for_everybody_who_reaps(machine: Machine, by: str) -> None:
    if by == "virsh":
        machine.virsh("snapshot-revert", machine.domain, "clean-boot")
    else:
        machine("snapshot", "revert", machine.run, "provisioned")
    elsewhere = Tool(machine.tool.folder / "elsewhere", machine.tool.folder)
    assert elsewhere("reap", "--all").status == 0
    assert machine.facts()["state"] == "running"


def test_a_deleted_snapshot_leaves_its_children_to_its_parent(machine: Machine) -> None:
    machine("snapshot", "delete", machine.run, "mine_2.0")
    assert machine.snapshots()["by virsh"]["parent"] == "clean-boot"
    machine("snapshot", "delete", machine.run, "by virsh")
    ended = machine("snapshot", "delete", machine.run, "by virsh", status=2)
    assert "there are: clean-boot, provisioned" in ended.stderr
    assert list(machine.snapshots()) == ["clean-boot", "provisioned"]


@contextmanager
def probed(machine: Machine, way: str | None) -> Iterator[None]:
    """As if the probe of this host had found another way back, or none."""
    file = machine.tool.home / "probes/snapshots.json"
    before = file.read_text()
    file.write_text(json.dumps({key: [way, "libvirt said no"] for key in json.loads(before)}))
    try:
        yield
    finally:
        file.write_text(before)


def test_where_no_machine_can_go_back_it_is_said_and_the_machine_is_not_touched(machine: Machine) -> None:
    machine.ssh("echo still here > still")
    with probed(machine, None):
        for verb in ("revert", "create"):
            ended = machine("snapshot", verb, machine.run, "provisioned", status=3)
            assert "cannot go back to a snapshot (bios): libvirt said no" in ended.stderr
    assert machine.ssh("cat still") == "still here"


@pytest.mark.slow
def test_where_libvirt_fails_to_go_back_qemu_does_and_ssh_stands_in_for_the_agent(machine: Machine) -> None:
    machine.ssh("echo still here > still")
    with probed(machine, "qemu"):
        said = machine("snapshot", "revert", machine.run, "provisioned").stdout
    assert "a file written just before is gone" in said
    assert machine.ssh("ls still 2>/dev/null || echo gone") == "gone"
    assert machine.virsh("snapshot-current", machine.domain, "--name").strip() == "provisioned"
    machine("snapshot", "revert", machine.run, "provisioned")


@pytest.mark.slow
def test_where_no_internal_snapshots_can_be_taken_files_of_their_own_do(machine: Machine) -> None:
    with probed(machine, "restore"):
        machine("snapshot", "create", machine.run, "one")
        machine.ssh("echo between > between; sync")
        machine("snapshot", "create", machine.run, "two")
    for name, there in (("one", "gone"), ("two", "between"), ("one", "gone")):
        assert "a file written just before is gone" in machine("snapshot", "revert", machine.run, name).stdout
        assert machine.ssh("cat between 2>/dev/null || echo gone") == there
        assert machine.virsh("snapshot-current", machine.domain, "--name").strip() == name
    assert machine.snapshots()["two"]["parent"] == "one"
    ended = machine("snapshot", "revert", machine.run, "provisioned", status=3)
    assert "external snapshots stand on: one, two" in ended.stderr
    for name in ("one", "two"):
        machine("snapshot", "delete", machine.run, name)
    assert not list((machine.folder / "snapshots").glob("*.memory"))
    machine("snapshot", "revert", machine.run, "provisioned")
    assert machine.ssh("cat /etc/kept-mark") == "provisioned"


@pytest.mark.slow
def test_a_signal_in_the_middle_of_the_way_back_waits_for_its_end(machine: Machine) -> None:
    with probed(machine, "restore"):
        machine("snapshot", "create", machine.run, "three")
        machine.ssh("echo late > late; sync")
        process, out = machine.tool.start("snapshot", "revert", machine.run, "three")
        wait_for(
            lambda: list((machine.folder / "snapshots").glob("present-*.memory")), 60, "the machine to be saved"
        )
        process.send_signal(signal.SIGTERM)
        ended = machine.tool.wait(process, out, timeout=120)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert machine.ssh("cat late 2>/dev/null || echo gone") == "gone"
    machine("snapshot", "delete", machine.run, "three")


@pytest.mark.slow
def test_a_machine_that_goes_back_by_files_of_its_own_becomes_an_image_that_is_sealed_too(
    machine: Machine,
) -> None:
    key = machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub")
    with probed(machine, "restore"):
        machine("image", "promote", machine.run, "--as", "from-files")
    assert machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub") == key
    shown = json.loads(machine("image", "inspect", "from-files", "--json").stdout)
    with file_system(machine, shown["path"]) as read:
        assert read("/etc/kept-mark") == "provisioned\n"
        for gone in ("/etc/ssh/ssh_host_ed25519_key", "/home/testuser/.bash_history", "/var/lib/cloud/instance"):
            assert read(gone) is None, gone
    machine("snapshot", "revert", machine.run, "provisioned")


@pytest.mark.slow
def test_a_promotion_that_is_interrupted_lets_the_machine_go_back_and_makes_no_image(machine: Machine) -> None:
    key = machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub")
    process, out = machine.tool.start("image", "promote", machine.run, "--as", "interrupted")
    store = machine.tool.home / "images"
    wait_for(lambda: list(store.rglob("disk.qcow2")), 60, "the disk to be copied", every=0.01)
    process.send_signal(signal.SIGTERM)
    ended = machine.tool.wait(process, out, timeout=120)
    assert ended.status == 143, ended.stdout + ended.stderr
    assert "interrupted by SIGTERM" in ended.stderr
    assert machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub") == key
    assert "interrupted" not in machine("image", "list").stdout
    assert list(machine.snapshots()) == ["clean-boot", "provisioned"]


def test_two_commands_do_not_change_a_machine_at_once(machine: Machine) -> None:
    with FileLock(machine.folder / LOCK):
        ended = machine("snapshot", "revert", machine.run, "provisioned", status=3)
        assert "another command is changing" in ended.stderr
        assert "nothing was left behind" in machine("reap").stdout


def test_the_console_shows_a_login_prompt_and_is_left_by_its_key(machine: Machine) -> None:
    environment = {**os.environ, "KVM_E2E_HOME": str(machine.tool.home)}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.execve(sys.executable, [sys.executable, "-m", "kvm_action", "vm", "console", machine.run], environment)
    said, deadline, left = b"", time.monotonic() + 30, False
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:
                break
        if b"Escape character" in said and not left:
            os.write(terminal, b"\x1d" if b"login:" in said else b"\r")
            left = b"login:" in said
    assert b"Ctrl+] leaves" in said
    assert b"login:" in said
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert machine.facts()["state"] == "running"


def test_the_screen_opens_on_loopback_only_and_to_the_password_that_was_told_last(machine: Machine) -> None:
    def view() -> tuple[int, str]:
        told = machine("vm", "view", machine.run).stdout
        assert f"ssh -N -L {port_of(told)}:127.0.0.1:{port_of(told)} " in told
        return port_of(told), re.search(r"password (\S+),", told)[1]

    port, first = view()
    assert opens(port, first)
    port, second = view()
    assert opens(port, second)
    assert not opens(port, first)
    listening = {entry.laddr.ip for entry in psutil.net_connections("tcp") if entry.laddr.port == port
                 and entry.status == psutil.CONN_LISTEN}  # fmt: skip
    assert listening == {"127.0.0.1"}
    assert second not in (machine.ran.out / "domain.xml").read_text()


def port_of(told: str) -> int:
    return int(re.search(r"VNC at 127\.0\.0\.1:(\d+),", told)[1])


def test_a_machine_becomes_an_image_without_what_made_it_itself_and_goes_on_as_it_was(machine: Machine) -> None:
    machine("snapshot", "revert", machine.run, "provisioned")
    key = machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub")
    before = machine.snapshots()
    machine.ssh("echo unsaved > unsaved")
    machine("image", "promote", machine.run, "--as", "promoted")
    assert machine.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub unsaved") == f"{key}\nunsaved"
    assert list(machine.snapshots()) == list(before)
    shown = json.loads(machine("image", "inspect", "promoted", "--json", "--verify").stdout)
    assert (shown["run"], shown["plan"], shown["recipe"]) == (machine.run, "kept-one", "promote")
    assert shown["parent"].startswith("debian-12@")
    assert "openssh-server" in shown["package_versions"]
    with file_system(machine, shown["path"]) as read:
        assert read("/etc/kept-mark") == "provisioned\n"
        assert read("/home/other/.ssh/authorized_keys") == "ssh-ed25519 AAAAtheirs them\n"
        assert read("/etc/machine-id") == ""
        assert read("/etc/hostname") == "localhost\n"
        for gone in ("/etc/ssh/ssh_host_ed25519_key", "/home/testuser/.bash_history", "/var/lib/cloud/instance",
                     "/home/testuser/.ssh/authorized_keys", "/var/lib/systemd/random-seed",
                     "/etc/sudoers.d/90-cloud-init-users"):  # fmt: skip
            assert read(gone) is None, gone
        assert not read("/var/log/cloud-init.log")
        assert machine.run[-6:] not in (read("/etc/hosts") or "")


@pytest.mark.slow
def test_a_machine_that_cannot_be_sealed_becomes_no_image_and_is_as_it_was(machine: Machine) -> None:
    machine.ssh("sudo mv /etc/hostname /etc/hostname.away")
    ended = machine("image", "promote", machine.run, "--as", "half", status=3)
    assert "the guest was not sealed" in ended.stderr
    assert "half" not in machine("image", "list").stdout
    assert machine.ssh("ls /etc/ssh/ssh_host_ed25519_key /etc/hostname.away | wc -l") == "2"
    assert not [name for name in machine.snapshots() if name.startswith("before-promotion")]
    machine.ssh("sudo mv /etc/hostname.away /etc/hostname")
    refused = machine("image", "promote", machine.run, "--as", "No Name", status=2)
    assert "cannot name an image" in refused.stderr


@contextmanager
def file_system(machine: Machine, disk: str):
    """A reader of files in an image: their text, None for what is not there."""
    raw = machine.tool.folder / "look.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    table = json.loads(subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True).stdout)
    partition = max(table["partitiontable"]["partitions"], key=lambda part: part["size"])
    place = f"{raw}?offset={partition['start'] * 512}"

    def debugfs(request: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["debugfs", "-R", request, place], capture_output=True, text=True, check=True)

    def read(path: str) -> str | None:
        found = debugfs(f"cat {path}")
        return None if "File not found" in found.stderr else found.stdout

    try:
        state = debugfs("show_super_stats -h").stdout
        assert "needs_recovery" not in state, "its journal must be empty"
        yield read
    finally:
        raw.unlink()


@pytest.mark.slow
def test_a_plan_that_starts_from_a_promoted_image_gets_a_machine_of_its_own(machine: Machine) -> None:
    own = "cat /etc/machine-id; hostname; cat /etc/ssh/ssh_host_ed25519_key.pub"
    if "promoted" not in machine("image", "list").stdout:
        machine("snapshot", "revert", "last", "provisioned")
        machine("image", "promote", "last", "--as", "promoted")
    plan = machine.tool.write_plan(
        "machine: {image: promoted, memory: 768MiB}\nsnapshots: []\nuser: {name: another}\n"
        f"provision: {{run: '{own}; cat /etc/kept-mark; sudo -n true'}}\n", "promoted.yml"
    )  # fmt: skip
    ended = machine.tool("run", str(plan), timeout=BOOT)
    assert ended.status == 0, ended.stdout + ended.stderr
    *its_own, mark = (ended.out / "provision.log").read_text().splitlines()
    assert mark == "provisioned"
    assert not set(its_own) & set(machine.ssh(own).splitlines())
    assert len(its_own[0]) == 32


def test_a_machine_that_is_ended_leaves_nothing(machine: Machine) -> None:
    machine("vm", "destroy", machine.run[:-1])
    assert not machine.folder.exists()
    assert not machine.tool.machines()
    assert "no machine was kept" in machine("vm", "list").stdout
    assert "no machine was kept" in machine("vm", "ssh", "last", status=2).stderr
