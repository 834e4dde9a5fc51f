"""A login to a desktop starts services by D-Bus: that they came or went is not a script's doing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.guest_state.bus import started_by_bus
from kvm_action.guest_state.model import Entry
from kvm_action.guest_state.script import second_look

LISTED = b"SystemdService=udisks2.service\nSystemdService=dbus-org.freedesktop.Avahi.service\n"
AVAHI = "/etc/systemd/system/dbus-org.freedesktop.Avahi.service"


def link(target: str) -> Entry:
    return Entry("l", 0o777, "0:0", len(target), "7/1.0", target)


def links(*paths: str) -> dict[str, Entry]:
    return {path: link(f"/usr/lib/systemd/system/{path.rpartition('/')[2]}") for path in paths}


def test_a_unit_that_only_the_bus_starts_is_known_by_its_name() -> None:
    assert "udisks2.service" in started_by_bus(LISTED, {})


def test_a_unit_that_has_another_name_on_the_bus_is_known_by_its_own() -> None:
    aliased = {AVAHI: link("/lib/systemd/system/avahi-daemon.service")}
    assert "avahi-daemon.service" in started_by_bus(LISTED, aliased)
    packaged = {"/usr/lib/systemd/system/dbus-org.freedesktop.Avahi.service": link("avahi-daemon.service")}
    assert "avahi-daemon.service" in started_by_bus(LISTED, packaged)


@pytest.mark.parametrize("folder", ["/etc/systemd/system", "/usr/lib/systemd/system"])
def test_a_unit_that_a_boot_starts_is_a_scripts_affair_though_the_bus_could_start_it(folder: str) -> None:
    wanted = links(f"{folder}/multi-user.target.wants/avahi-daemon.service")
    aliased = {AVAHI: link("/lib/systemd/system/avahi-daemon.service")}
    assert "avahi-daemon.service" not in started_by_bus(LISTED, {**aliased, **wanted})


def test_what_only_a_desktop_wants_is_started_by_a_login() -> None:
    wanted = links("/etc/systemd/system/graphical.target.wants/udisks2.service")
    assert "udisks2.service" in started_by_bus(LISTED, wanted)


def test_a_unit_that_the_bus_does_not_know_is_no_unit_of_the_bus() -> None:
    assert started_by_bus(b"", links("/etc/systemd/system/graphical.target.wants/web.service")) == frozenset()
    assert "web.service" not in started_by_bus(LISTED, {})


def test_a_look_asks_for_the_units_of_the_bus() -> None:
    assert "s bus; grep -hs ^SystemdService= /usr/share/dbus-1/system-services/" in second_look("mark", ())


@given(st.binary(max_size=500))
def test_no_bytes_of_a_guest_break_the_reader(data: bytes) -> None:
    assert "" not in started_by_bus(data, {"/etc/systemd/system/x.wants/": link("")})
