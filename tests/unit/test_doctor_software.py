"""What runs on the machine: libvirt, networks, groups, disks, programs, and what dead runs left."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvm_action.doctor import Level, disk, docker, groups, images, leftovers, libvirt, network, system, tools
from kvm_action.doctor.groups import Membership
from kvm_action.hypervisor.probe import bridge_of, dhcp_range
from kvm_action.leases import lease_for
from kvm_action.procfs import Host

GIB = 1 << 30
SLOW = libvirt.Daemon(uri="qemu:///system", libvirt="libvirt 9.0.0", calls=(8.1, 4.0))


def test_a_daemon_that_probes_at_every_call_is_found_by_its_times() -> None:
    _, calls = libvirt.reachable("libvirt system", SLOW)
    assert calls.level is Level.WARNING
    assert "4.0 s for each call" in calls.seen
    assert calls.mend.startswith("sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm")


def test_a_slow_first_call_alone_is_usual() -> None:
    assert libvirt.call_time("libvirt", (5.0, 0.01)).level is Level.OK


@pytest.mark.parametrize(
    ("message", "has_systemd", "mend"),
    [
        ("libvirt does not answer at qemu:///system: Permission denied", True, "usermod -aG libvirt"),
        ("libvirt does not answer at qemu:///system: No such file", True, "systemctl enable --now libvirtd"),
        ("libvirt does not answer at qemu:///system: No such file", False, "libvirtd --daemon"),
        ("libvirt does not answer at qemu:///session: Failed to find libvirtd", True, "apt-get install"),
    ],
)
def test_each_way_not_to_reach_libvirt_has_its_own_command(message: str, has_systemd: bool, mend: str) -> None:
    found = libvirt.unreachable("libvirt", message, needed=True, has_systemd=has_systemd)
    assert found.level is Level.PROBLEM
    assert mend in found.mend


def test_a_daemon_that_no_run_uses_may_be_absent() -> None:
    found = libvirt.unreachable("libvirt system", "gone", needed=False, has_systemd=True)
    assert (found.level, found.seen) == (Level.OK, "gone; only plans with a libvirt network need it")


UP = network.Network(name="default", active=True, autostart=True, bridge="virbr0", dhcp="a to b")


@pytest.mark.parametrize(
    ("seen", "levels", "mend"),
    [
        (UP, [Level.OK, Level.OK], ""),
        (replace(UP, active=False), [Level.WARNING, Level.OK], "sudo virsh net-start default"),
        (replace(UP, autostart=False), [Level.WARNING, Level.OK], "sudo virsh net-autostart default"),
        (replace(UP, dhcp=""), [Level.OK, Level.WARNING], "sudo virsh net-edit default"),
    ],
)
def test_whatever_keeps_a_machine_from_its_address_is_told(
    seen: network.Network, levels: list[Level], mend: str
) -> None:
    found = network.findings(seen)
    assert [each.level for each in found] == levels
    assert mend in "".join(each.mend for each in found)


def test_a_network_that_no_run_uses_is_no_warning() -> None:
    found = network.not_needed(network.absent("default"))
    assert (found.level, network.NOT_NEEDED in found.seen) == (Level.OK, True)


CLOSED = "-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n"
LIBVIRTS_OWN = CLOSED + "-N LIBVIRT_INP\n-A INPUT -j LIBVIRT_INP\n-A FORWARD -j LIBVIRT_FWX\n"
DOCKERS = "-P INPUT ACCEPT\n-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j ACCEPT\n"
OPENED = CLOSED + "-A INPUT -i virbr0 -p udp -j ACCEPT\n-A FORWARD -i virbr0 -j ACCEPT\n"


@pytest.mark.parametrize(
    ("rules", "mends"),
    [
        ("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n", 0),
        (CLOSED, 3),
        (LIBVIRTS_OWN, 0),
        (DOCKERS, 2),
        (OPENED, 0),
        ("", 0),
    ],
)
def test_a_firewall_that_drops_our_packets_is_told_chain_by_chain(rules: str, mends: int) -> None:
    found = network.firewall(rules, "virbr0")
    assert len(found.mend.splitlines()) == mends
    assert found.level is (Level.WARNING if mends else Level.OK)


NETWORK_XML = """<network><name>default</name><bridge name='virbr0' stp='on' delay='0'/>
<ip address='192.168.122.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>"""


def test_bridge_and_range_are_read_from_the_networks_xml() -> None:
    assert (bridge_of(NETWORK_XML), dhcp_range(NETWORK_XML)) == ("virbr0", "192.168.122.2 to 192.168.122.254")
    assert (bridge_of("<network/>"), dhcp_range("<network><ip/></network>")) == ("", "")


MEMBER = Membership("libvirt", "runner", exists=True, effective=True, configured=True)


@pytest.mark.parametrize(
    ("member", "needed", "level", "mend"),
    [
        (MEMBER, True, Level.OK, ""),
        (replace(MEMBER, effective=False), True, Level.WARNING, "newgrp libvirt"),
        (replace(MEMBER, effective=False, configured=False), True, Level.WARNING, "sudo usermod -aG libvirt"),
        (replace(MEMBER, effective=False, configured=False), False, Level.OK, ""),
        (replace(MEMBER, exists=False, effective=False, configured=False), False, Level.OK, ""),
    ],
)
def test_a_membership_that_waits_for_a_login_is_not_taken_for_a_missing_one(
    member: Membership, needed: bool, level: Level, mend: str
) -> None:
    found = groups.finding(member, needed=needed, purpose="for tests")
    assert (found.level, mend in found.mend) == (level, True)


@pytest.mark.parametrize(("free", "level"), [(50 * GIB, Level.OK), (5 * GIB, Level.WARNING), (GIB, Level.PROBLEM)])
def test_disk_space_is_judged_in_steps(tmp_path: Path, free: int, level: Level) -> None:
    assert disk.judge("runs", tmp_path, free).level is level


def test_folders_on_one_disk_are_one_finding_though_they_do_not_exist_yet(tmp_path: Path) -> None:
    found = disk.space({"images": tmp_path / "a/b", "runs": tmp_path / "c"})
    assert [each.subject for each in found] == ["disk for images, runs"]


def test_a_slow_disk_is_told_with_numbers() -> None:
    assert disk.judge_speed(200 << 20, 0.1).level is Level.OK
    slow = disk.judge_speed(9 << 20, 0.1)
    assert (slow.level, "9.0 MiB/s" in slow.seen) == (Level.WARNING, True)


def test_measuring_the_disk_leaves_nothing(tmp_path: Path) -> None:
    rate, flush = disk.measure(tmp_path)
    assert rate > 0
    assert flush >= 0
    assert not list(tmp_path.iterdir())


def test_a_program_that_is_missing_comes_with_its_package() -> None:
    wanted = tools.Program(
        names=("no-such-program", "nor-this"), package="pkg", purpose="to test", missing=Level.PROBLEM
    )
    found = tools.program(wanted)
    assert (found.level, found.mend) == (Level.PROBLEM, "sudo apt-get install -y pkg")


def test_any_of_a_programs_names_will_do() -> None:
    wanted = tools.Program(
        names=("no-such-program", sys.executable), package="python3", purpose="to test", missing=Level.PROBLEM
    )
    assert tools.program(wanted).seen.startswith("Python 3.")


def test_a_python_package_that_does_not_import_is_a_problem() -> None:
    good, bad = tools.python_packages(["pytest", "no_such_package_at_all"])
    assert (good.level, bad.level) == (Level.OK, Level.PROBLEM)


def test_dead_machines_are_left_overs_and_living_or_kept_ones_are_not(tmp_path: Path) -> None:
    mine = lease_for("r1", tmp_path)
    dead = replace(mine, boot_id="another boot")
    kept = replace(dead, kept_until=datetime.now(UTC) + timedelta(hours=1))
    assert leftovers.machines([("a", mine)]).seen == "none; 1 in use"
    assert "kept on purpose: k" in leftovers.machines([("k", kept)]).seen
    found = leftovers.machines([("a", mine), ("d", dead), ("k", kept)])
    assert (found.level, found.seen, found.mend) == (Level.WARNING, "their runs are dead: d", "kvm-e2e reap")


def test_folders_of_dead_runs_are_left_overs() -> None:
    assert leftovers.folders([]).level is Level.OK
    assert leftovers.folders(["r1 (2.0 GiB)"]).mend == "kvm-e2e reap"


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    assert images.at_hand([], tmp_path).mend == "kvm-e2e image build debian-13"
    assert images.at_hand([("debian-13", 524 << 20)], tmp_path).seen == "debian-13 (524 MiB)"


@pytest.mark.parametrize(
    ("file", "value", "setting"),
    [
        (
            "proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ],
)
def test_the_setting_that_forbids_namespaces_is_the_one_that_is_mended(
    tmp_path: Path, file: str, value: str, setting: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(f"{value}\n")
    assert f"sudo sysctl -w {setting}" in system.allow_namespaces(Host(tmp_path))


def test_another_ban_of_namespaces_is_not_guessed_at(tmp_path: Path) -> None:
    assert system.allow_namespaces(Host(tmp_path)).startswith("#")


def test_a_user_without_subordinate_ids_is_told_which_file_lacks_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/subuid").write_text("runner:100000:65536\n")
    (tmp_path / "etc/subgid").write_text("runner2:100000:65536\n")
    found = system.subordinate_ids(Host(tmp_path), "runner")
    assert (found.level, "no range in /etc/subgid;" in found.seen) == (Level.WARNING, True)


def test_a_host_without_docker_is_fit_all_the_same_and_is_told_what_it_goes_without(tmp_path: Path) -> None:
    missing = docker.daemon(tmp_path / "docker.sock")
    assert missing.level is Level.OK
    assert "needed for `--backend docker`" in missing.seen
    (tmp_path / "docker.sock").touch()
    assert "listens at" in docker.daemon(tmp_path / "docker.sock").seen
