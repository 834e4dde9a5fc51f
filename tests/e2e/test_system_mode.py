"""`qemu:///system` and libvirt's networks: a privileged daemon whose QEMU is another user than the tool."""

import grp
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from accounts import ordinary_user
from system_libvirt import GATEWAY, NETWORK, SystemLibvirt, system_libvirt
from tooling import BOOT, Tool, has_started, wait_for

from kvm_action.hypervisor.domain_xml import domain_name

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a privileged libvirtd in namespaces")

SMALL = "machine: {image: debian-12, memory: 768MiB, cpus: 2}\n"
FIRST, LAST = ip_address("192.168.77.100"), ip_address("192.168.77.199")
QUICK = 60  # seconds for a run that boots nothing
OUTER = """
<network><name>outer</name><forward mode='bridge'/><bridge name='outer0'/></network>
"""


@pytest.fixture(scope="module")
def system(images: Path) -> Iterator[SystemLibvirt]:
    with system_libvirt(images) as libvirt:
        yield libvirt


@pytest.fixture
def system_tool(system: SystemLibvirt, tmp_path: Path) -> Iterator[Tool]:
    owners = owners_of_images(system)
    used = system.tool(tmp_path)
    yield used
    used.end()
    assert not system.leftovers()
    assert owners_of_images(system) == owners, "libvirt took a base image from its owner"


def owners_of_images(system: SystemLibvirt) -> str:
    return system.run("find", f"{system.home}/images/files", "-printf", "%p %u %g %m\n")


def qemu_user(run: str) -> int:
    """Whom the QEMU of a run belongs to."""
    wanted = f"guest={domain_name(run)},".encode()
    for process in Path("/proc").glob("[0-9]*"):
        if wanted in (process / "cmdline").read_bytes():
            return process.stat().st_uid
    raise AssertionError(f"no QEMU of {run}")


def run_of(tool: Tool) -> str:
    [folder] = (tool.home / "runs").iterdir()
    return folder.name


def test_a_machine_on_a_network_of_the_system_gets_its_address_by_dhcp_and_passes(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    plan = system_tool.write_plan(SMALL + "provision: {run: ip route}\nchecks: [{port: 22}]\n")
    process, out = system_tool.start("run", str(plan), "--set", f"machine.network={NETWORK}")
    wait_for(lambda: has_started(out, "network") or process.poll() is not None, BOOT, "the boot")
    user = qemu_user(run_of(system_tool))
    ended = system_tool.wait(process, out)
    assert ended.status == 0, ended.stdout + ended.stderr
    host, _, port = ended.result["guest"]["address"].partition(":")
    assert FIRST <= ip_address(host) <= LAST
    assert port == "22"
    assert host in system.virsh("net-dhcp-leases", NETWORK)
    assert f"default via {GATEWAY}" in (out / "provision.log").read_text()
    assert [snapshot["name"] for snapshot in ended.result["snapshots"]] == ["clean-boot", "provisioned"]
    assert user != os.geteuid(), "this proves something only if QEMU is another user"


def refused(tool: Tool, network: str) -> dict:
    """How a run on a network ends that cannot be used."""
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    ended = tool("run", str(plan), "--set", f"machine.network={network}", timeout=QUICK)
    assert ended.status == 3, ended.stdout + ended.stderr
    assert ended.failure["step"] == "prerequisites"
    assert network in ended.failure["message"]
    return ended.failure


def test_a_network_that_is_not_running_is_told_with_the_command_that_starts_it(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    system.define_network("<network><name>asleep</name></network>")
    told = refused(system_tool, "asleep")
    assert "not running" in told["message"]
    assert "virsh -c qemu:///system net-start asleep" in told["hint"]
    system.virsh("net-undefine", "asleep")


def test_a_network_that_does_not_exist_is_told_with_those_that_do(system_tool: Tool) -> None:
    assert f"did you mean {NETWORK}?" in refused(system_tool, f"{NETWORK}x")["hint"]
    assert "net-start default" in refused(system_tool, "default")["hint"]


def test_a_network_of_the_system_in_a_users_session_is_told_where_it_belongs(system_tool: Tool) -> None:
    del system_tool.environment["LIBVIRT_DEFAULT_URI"]
    assert "LIBVIRT_DEFAULT_URI=qemu:///system" in refused(system_tool, NETWORK)["hint"]


def test_a_home_that_qemus_user_cannot_enter_is_told_before_anything_boots(
    system_tool: Tool, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "images").symlink_to(system_tool.home / "images")
    system_tool.environment["KVM_E2E_HOME"] = str(closed)
    ended = system_tool("run", str(system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")), timeout=QUICK)
    assert ended.status == 3
    assert ended.failure["class"] == "host"
    assert "Permission denied" in ended.failure["message"]
    assert "KVM_E2E_HOME" in ended.failure["hint"]
    assert not list((closed / "runs").iterdir())


def test_an_image_that_qemus_user_cannot_read_is_told_and_stays_its_owners(
    system_tool: Tool, tmp_path: Path
) -> None:
    image = system_tool.home / "mine.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1G"], check=True)
    image.chmod(0o600)
    plan = system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    ended = system_tool("run", str(plan), "--image", str(image), timeout=QUICK)
    assert ended.status == 3
    assert "read the image" in ended.failure["hint"]
    assert (image.stat().st_uid, image.stat().st_mode & 0o777) == (os.geteuid(), 0o600)


@pytest.mark.slow
def test_after_sigkill_the_systems_libvirt_destroys_the_machine_and_reap_takes_the_rest(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    plan = system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    process, out = system_tool.start("run", str(plan), "--set", f"machine.network={NETWORK}")
    wait_for(lambda: has_started(out, "network"), BOOT, "the boot")
    assert system.virsh("list", "--name") == domain_name(run_of(system_tool))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not system.virsh("list", "--all", "--name"), 30, "libvirt to destroy the machine")
    assert system.leftovers(), "the files of the run are there until somebody reaps them"
    assert "removed" in system_tool("reap").stdout


@pytest.mark.slow
def test_user_mode_networking_works_in_the_system_too(system_tool: Tool) -> None:
    ended = system_tool("run", str(system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")))
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.result["guest"]["address"].startswith("127.0.0.1:")


@pytest.mark.slow
def test_machines_of_the_system_wake_from_a_state_since_their_memory_may_be_no_file_of_ours(
    system_tool: Tool,
) -> None:
    plan = system_tool.write_plan(SMALL + "provision: {run: 'true'}\nsnapshots: []\n")
    for _ in range(2):
        ended = system_tool("run", str(plan), "--set", f"machine.network={NETWORK}")
        assert ended.status == 0, ended.stdout + ended.stderr
        assert ended.result["start"]["mode"] == "restore", ended.result["start"]
    host = ended.result["guest"]["address"].partition(":")[0]
    assert FIRST <= ip_address(host) <= LAST


@pytest.mark.slow
def test_where_somebody_elses_dhcp_server_gives_the_address_the_guest_agent_tells_it(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    with foreign_dhcp(system):
        plan = system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")
        ended = system_tool("run", str(plan), "--set", "machine.network=outer")
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.result["guest"]["address"].startswith("192.168.78.")


@contextmanager
def foreign_dhcp(system: SystemLibvirt) -> Iterator[None]:
    """A bridge that libvirt did not make, with a DHCP server it does not know. They end with the namespaces."""
    system.run("sh", "-c", "ip link add outer0 type bridge && ip addr add 192.168.78.1/24 dev outer0")
    system.run("ip", "link", "set", "outer0", "up")
    system.run("dnsmasq", "--conf-file=/dev/null", "--port=0", "--interface=outer0", "--bind-interfaces",
               "--dhcp-range=192.168.78.100,192.168.78.199", "--dhcp-leasefile=/run/outer.leases",
               "--pid-file=/run/outer.pid")  # fmt: skip
    system.define_network(OUTER)
    system.virsh("net-start", "outer")
    yield


@pytest.mark.slow
def test_a_network_that_gives_no_addresses_is_blamed_rather_than_the_boot(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    system.define_network("<network><name>mute</name><bridge name='mute0'/></network>")
    system.virsh("net-start", "mute")
    plan = system_tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    ended = system_tool("run", str(plan), "--set", "machine.network=mute", timeout=500)
    assert ended.status == 3
    assert ended.failure["class"] == "network"
    assert "got no address on the network mute" in ended.failure["message"]
    assert "virsh net-dumpxml mute" in ended.failure["hint"]


@pytest.mark.slow
def test_a_member_of_the_group_libvirt_needs_no_root_for_the_system(
    system: SystemLibvirt, system_tool: Tool
) -> None:
    with ordinary_user() as user:
        checkout = user.install_tool()
        home = user.home / "e2e"
        home.mkdir()
        (home / "images").symlink_to(system_tool.home / "images")
        user.own_everything()
        user.home.chmod(0o711)
        groups = f"--groups={grp.getgrnam('libvirt').gr_gid}"
        become = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", groups]
        own = [f"HOME={user.home}", f"KVM_E2E_HOME={home}", f"PYTHONPATH={user.home}/packages",
               "LIBVIRT_DEFAULT_URI=qemu:///system"]  # fmt: skip
        ended = subprocess.run(
            [*system.enter, *become, "env", f"--chdir={checkout}", *own, "/usr/bin/python3", "-m", "kvm_action",
             "run", "examples/hello/plan.yml", "--image", "debian-12", "--set", f"machine.network={NETWORK}"],
            text=True, capture_output=True, timeout=BOOT, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert not list((home / "runs").iterdir())
    logs = system.leftovers()  # root's, and rotated away: no business of an ordinary user
    assert all(log.startswith("/var/log/libvirt/qemu/") for log in logs)
    system.run("rm", *logs)
