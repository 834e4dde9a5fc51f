"""The machine that an installer runs in, as libvirt is told of it."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from kvm_action.hypervisor.installation import InstallationSpec, installation_xml

SPEC = InstallationSpec(
    name="kvm-e2e-x",
    lease='{"run": "<&>"}',
    memory=1 << 30,
    cpus=2,
    accel="tcg",
    kernel=Path("/k"),
    initrd=Path("/i"),
    arguments="a=b console=ttyS0",
    disk=Path("/d & e.qcow2"),
    disc=None,
    mac="52:54:00:00:00:01",
)


def test_the_machine_ends_with_the_installation_and_boots_nothing_that_was_installed() -> None:
    domain = ElementTree.fromstring(installation_xml(SPEC))
    assert domain.findtext("on_poweroff") == domain.findtext("on_reboot") == "destroy"
    assert domain.findtext("os/cmdline") == "a=b console=ttyS0"


def test_freed_space_goes_back_to_the_host_while_it_installs() -> None:
    driver = ElementTree.fromstring(installation_xml(SPEC)).find("devices/disk/driver")
    assert driver is not None
    assert driver.get("discard") == "unmap"


def test_a_disc_is_in_the_drive_only_when_there_is_one() -> None:
    assert "cdrom" not in installation_xml(SPEC)
    assert "seclabel" not in installation_xml(replace(SPEC, disc=Path("/x.iso")))
    drive = ElementTree.fromstring(installation_xml(replace(SPEC, disc=Path("/x.iso"))))
    assert drive.find("devices/disk[@device='cdrom']/readonly") is not None


def test_a_users_iso_stays_the_users_where_qemu_is_another_user() -> None:
    domain = ElementTree.fromstring(installation_xml(replace(SPEC, disc=Path("/x.iso"), is_system=True)))
    label = domain.find("devices/disk[@device='cdrom']/source/seclabel")
    assert label is not None
    assert label.get("relabel") == "no"


def test_paths_and_leases_with_hostile_characters_stay_what_they_are() -> None:
    domain = ElementTree.fromstring(installation_xml(SPEC))
    source = domain.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == "/d & e.qcow2"
    assert '{"run": "<&>"}' in "".join(domain.itertext())
