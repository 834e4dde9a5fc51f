"""Snapshots of tiny machines with nothing to boot: the probe, and what it protects from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from kvm_action.backends.reaping import reap
from kvm_action.errors import HostError
from kvm_action.hypervisor import snapshots
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.snapshot_probe import ability, probe, tiny_machine
from kvm_action.hypervisor.snapshots import Way
from kvm_action.paths import Home

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with open_connection() as connection:
        yield connection


def tiny(connection: Connection) -> list[str]:
    return [raw.name() for raw in connection.raw.listAllDomains() if raw.name().startswith("kvm-e2e-probe-")]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_probe_tells_the_truth_and_leaves_nothing(
    connection: Connection, tmp_path: Path, firmware: str
) -> None:
    before = set(tiny(connection))
    found = probe(connection, tmp_path, firmware)
    assert found.reason
    assert set(tiny(connection)) <= before
    assert not list(tmp_path.iterdir())
    with tiny_machine(connection, tmp_path, firmware) as domain:
        assert found.way, "there is a way for every libvirt that we know"
        files = tmp_path / "files"
        for name in ("a", "b"):
            snapshots.take(domain, name, "", found.way, files)
        snapshots.revert(domain, "a", found.way, files)
        listed = snapshots.listed(domain)
        assert [(each.name, each.parent, each.is_current) for each in listed] == [
            ("a", None, True),
            ("b", "a", False),
        ]
        snapshots.delete(domain, "a")
        snapshots.revert(domain, "b", found.way, files)
        assert [(each.name, each.parent) for each in snapshots.listed(domain)] == [("b", None)]
        assert domain.raw.isActive()


DIES = """
import os, signal, sys
from pathlib import Path
from kvm_action.hypervisor import snapshots
from kvm_action.hypervisor.connection import open_connection
from kvm_action.hypervisor.snapshot_probe import tiny_machine
with open_connection() as connection, tiny_machine(connection, Path(sys.argv[1]), "bios") as domain:
    files = domain.disk().parent / "snapshots"
    snapshots.take(domain, "probe", "", snapshots.Way.RESTORE, files)
    snapshots.revert(domain, "probe", snapshots.Way.RESTORE, files)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_probe_that_is_killed_leaves_what_reap_takes_away(connection: Connection, tmp_path: Path) -> None:
    before = set(tiny(connection))
    subprocess.run([sys.executable, "-c", DIES, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    assert set(tiny(connection)) - before, "a machine that went back outlives its connection"
    assert reap(connection, tmp_path)
    assert set(tiny(connection)) <= before
    assert not list(tmp_path.iterdir())


def test_what_was_found_is_remembered_for_these_versions_only(connection: Connection, tmp_path: Path) -> None:
    cache = tmp_path / "probes/snapshots.json"
    cache.parent.mkdir()
    key = f"{connection.libvirt_version}, {connection.hypervisor_version}, bios"
    key += ", system" if connection.is_system else ""
    cache.write_text(json.dumps({key: [None, "as it was found"], "libvirt 0.1, QEMU 0.1, bios": ["libvirt", ""]}))
    assert ability(connection, Home(tmp_path), "bios") == ability(connection, Home(tmp_path), "bios")
    assert ability(connection, Home(tmp_path), "bios").reason == "as it was found"
    cache.write_text("[1, 2")
    assert ability(connection, Home(tmp_path), "bios").reason != "as it was found"
    assert len(json.loads(cache.read_text())) == 1


@pytest.mark.parametrize("way", list(Way))
def test_a_snapshot_that_there_is_not_never_costs_the_machine(
    connection: Connection, tmp_path: Path, way: Way
) -> None:
    with tiny_machine(connection, tmp_path, "bios") as domain:
        with pytest.raises(HostError):
            snapshots.revert(domain, 'no "such\\ thing', way, tmp_path / "files")
        assert domain.raw.isActive()
        assert domain.raw.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_a_machine_is_not_lost_when_the_memory_of_its_snapshot_is_damaged(
    connection: Connection, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    with tiny_machine(connection, tmp_path, "bios") as domain:
        for name in ("a", "b"):
            snapshots.take(domain, name, "", Way.RESTORE, files)
        [memory] = files.glob("a-*.memory")
        with memory.open("r+b") as file:
            file.seek(memory.stat().st_size // 2)
            file.truncate()
        with pytest.raises(HostError, match="did not go back"):
            snapshots.revert(domain, "a", Way.RESTORE, files)
        assert domain.raw.isActive()
        assert [(each.name, each.is_current) for each in snapshots.listed(domain)] == [("a", False), ("b", True)]
        snapshots.revert(domain, "b", Way.RESTORE, files)
        memory.unlink()
        with pytest.raises(HostError, match="the file of its memory is gone"):
            snapshots.revert(domain, "a", Way.RESTORE, files)
        assert domain.raw.isActive()
        assert not list(files.glob("present-*"))
