"""The domain's XML is a pure function of its spec."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
from golden_files import assert_golden

from kvm_action.backends.template_start import plug_in_card
from kvm_action.errors import HostError
from kvm_action.hypervisor.definitions import QEMU
from kvm_action.hypervisor.domain_xml import (
    LEASE_NAMESPACE,
    BackingFile,
    DomainSpec,
    agent_socket,
    domain_xml,
    random_mac,
)

SPEC = DomainSpec(
    name="kvm-e2e-1",
    uuid=UUID(int=1),
    lease='{"run": "<&]]>\'\\""}',
    memory=1 << 30,
    cpus=2,
    cpu="host-passthrough",
    accel="kvm",
    firmware="bios",
    backing=(BackingFile(Path("/images/a & b.qcow2"), "qcow2"),),
    overlay=Path("/var/it's & that/overlay.qcow2"),
    seed=Path("/s.iso"),
    network="user",
    mac="52:54:00:00:00:01",
)


def tree(spec: DomainSpec) -> ElementTree.Element:
    return ElementTree.fromstring(domain_xml(spec))


def arguments(spec: DomainSpec) -> list[str]:
    return [element.get("value", "") for element in tree(spec).iterfind(f"{{{QEMU}}}commandline/*")]


def test_hostile_text_in_names_and_leases_stays_text() -> None:
    domain = tree(SPEC)
    assert domain.findtext(f"metadata/{{{LEASE_NAMESPACE}}}lease") == SPEC.lease
    assert domain.find("devices/disk/source").get("file") == str(SPEC.overlay)


def test_the_overlay_may_be_lost_but_never_the_guests_ignorance_of_a_full_disk() -> None:
    driver = tree(SPEC).find("devices/disk/driver")
    assert (driver.get("cache"), driver.get("error_policy")) == ("unsafe", "stop")


@pytest.mark.parametrize("is_system", [True, False])
def test_the_system_daemon_never_takes_the_base_image_from_its_owner(is_system: bool) -> None:
    below = tree(replace(SPEC, is_system=is_system)).find("devices/disk/backingStore")
    assert below.find("source").get("file") == str(SPEC.backing[0].path)
    assert below.find("format").get("type") == "qcow2"
    assert (below.find("source/seclabel[@relabel='no']") is not None) is is_system


def test_emulation_leaves_out_the_instruction_that_qemu_emulates_wrongly() -> None:
    domain = tree(replace(SPEC, accel="tcg"))
    assert domain.get("type") == "qemu"
    assert domain.find("cpu/feature").attrib == {"policy": "disable", "name": "cx16"}


@pytest.mark.parametrize(("cpu", "mode"), [("host-passthrough", "host-passthrough"), ("EPYC", "custom")])
def test_the_plans_cpu_is_what_the_guest_gets_on_kvm(cpu: str, mode: str) -> None:
    domain = tree(replace(SPEC, cpu=cpu))
    assert (domain.get("type"), domain.find("cpu").get("mode")) == ("kvm", mode)


def test_uefi_is_asked_for_without_secure_boot() -> None:
    os = tree(replace(SPEC, firmware="uefi")).find("os")
    assert (os.get("firmware"), os.find("firmware/feature").get("enabled")) == ("efi", "no")


@pytest.mark.parametrize(("network", "kind"), [("user", "user"), ("default", "network")])
def test_the_network_is_user_mode_or_a_network_of_libvirt(network: str, kind: str) -> None:
    card = tree(replace(SPEC, network=network)).find("devices/interface")
    assert card.get("type") == kind
    assert kind == "user" or card.find("source").get("network") == "default"


def test_the_agents_socket_is_in_our_folder_where_it_fits_and_qemu_may_go() -> None:
    """libvirt 9's own is one byte too long for the user github-runner."""
    runs = Path("/home/github-runner/.local/share/kvm-e2e/runs/20261127-171135-4fb6b1/private")
    assert agent_socket(runs, is_system=False) == runs / "agent.sock"
    assert agent_socket(runs, is_system=True) is None
    assert agent_socket(Path("/" + "a" * 100), is_system=False) is None
    asked = tree(replace(SPEC, agent_socket=runs / "agent.sock")).find("devices/channel/source")
    assert asked.get("path") == str(runs / "agent.sock")


def test_mac_addresses_are_qemus_and_differ() -> None:
    assert random_mac().startswith("52:54:00:")
    assert random_mac() != random_mac()


def test_only_a_machine_that_may_be_kept_has_a_screen_and_it_is_closed_and_on_loopback() -> None:
    assert tree(SPEC).find("devices/graphics") is None
    screen = tree(replace(SPEC, viewable=True)).find("devices/graphics")
    assert screen.find("listen").attrib == {"type": "address", "address": "127.0.0.1"}
    assert screen.get("passwdValidTo") < "1971"
    assert screen.get("passwd") != tree(replace(SPEC, viewable=True)).find("devices/graphics").get("passwd")


def test_the_variables_of_uefi_go_with_the_run() -> None:
    assert tree(replace(SPEC, firmware="uefi")).findtext("os/nvram") == str(SPEC.overlay.parent / "nvram.fd")
    assert tree(SPEC).find("os/nvram") is None


def test_huge_pages_are_anonymous_so_that_no_mount_has_to_be_ours() -> None:
    assert arguments(replace(SPEC, hugepages=True)) == [
        "-object", f"memory-backend-memfd,id=kvm-e2e-ram,size={SPEC.memory},hugetlb=on",
        "-machine", "memory-backend=kvm-e2e-ram",
    ]  # fmt: skip
    assert arguments(SPEC) == []


def test_a_machine_that_is_restored_into_huge_pages_waits_for_its_state_there() -> None:
    given = arguments(replace(SPEC, hugepages=True, incoming=True))
    assert given[-4:] == ["-machine", "memory-backend=kvm-e2e-ram", "-incoming", "defer"]
    assert sum(argument.startswith("memory-backend-") for argument in given) == 1


def test_the_plans_cache_and_io_are_the_overlays_and_not_the_seeds() -> None:
    overlay, seed = tree(replace(SPEC, disk_cache="none", disk_io="native")).findall("devices/disk/driver")
    assert (overlay.get("cache"), overlay.get("io")) == ("none", "native")
    assert (seed.get("cache"), seed.get("io")) == (None, None)


GOLDEN = {
    "plain": SPEC,
    "uefi_on_tcg": replace(SPEC, firmware="uefi", accel="tcg", network="default", is_system=True),
    "tuned": replace(SPEC, hugepages=True, disk_cache="none", disk_io="native", memory=2 << 30, cpus=4),
    "woken": replace(SPEC, network="", memory_file=Path("/dev/shm/a,b.ram"), incoming=True),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_whole_domain_is_what_somebody_has_looked_at(name: str, request: pytest.FixtureRequest) -> None:
    assert_golden(f"domain_{name}.xml", domain_xml(GOLDEN[name]), request.config.getoption("--regenerate"))


class Confined:
    """A domain that AppArmor keeps from some of the host's files; here is no AppArmor."""

    def __init__(self, words: str) -> None:
        self.words, self.tried = words, []

    def plug_in(self, xml: str) -> None:
        self.tried.append("<driver name='qemu'/>" in xml)
        if not self.tried[-1]:
            raise HostError(f"a device cannot be plugged in: {self.words}")


def test_a_card_whose_vhost_is_refused_is_plugged_in_without() -> None:
    domain = Confined("unable to execute QEMU command 'getfd': No file descriptor supplied via SCM_RIGHTS")
    assert plug_in_card(domain, SPEC) == "qemu"
    assert domain.tried == [False, True]
    with pytest.raises(HostError, match="no such network"):
        plug_in_card(Confined("no such network"), SPEC)
