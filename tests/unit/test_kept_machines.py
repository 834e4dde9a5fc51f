"""What a name on the command line means, and how snapshots are told. No machine is asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kvm_action.backends.keeping import KeptRecord, read_record, write_record
from kvm_action.backends.kept import Kept, choose, kept_machines
from kvm_action.backends.snapshotting import read_records, require_known_name, require_new_name
from kvm_action.cli.snapshot import rows, tree_of
from kvm_action.errors import PlanError
from kvm_action.hypervisor.definitions import QEMU, fit
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE
from kvm_action.hypervisor.external_snapshots import wrap_disk
from kvm_action.hypervisor.snapshots import Snapshot, disks_of
from kvm_action.leases import FILE_NAME, lease_for
from kvm_action.reach import Address
from kvm_action.results import SnapshotInfo
from kvm_action.ssh.access import move_access, read_address, write_access

RECORD = KeptRecord(
    run="r", plan="p", image="i", image_sha256="0", image_os="debian-12", firmware="bios", accel="tcg",
    network="user", user="testuser", key="ssh-ed25519 AAAA", out="/out",
)  # fmt: skip
RUNS = ("20260101-000000-aaaaaa", "20260101-000000-bbbbbb", "20260202-000000-cccccc")


def kept(runs: Path, name: str) -> None:
    (runs / name).mkdir(parents=True)
    lease = replace(lease_for(name, runs / name), kept_until=datetime.now(UTC) + timedelta(hours=1))
    (runs / name / FILE_NAME).write_text(lease.to_json())


@pytest.fixture
def machines(tmp_path: Path) -> list[Kept]:
    for name in RUNS:
        kept(tmp_path, name)
    (tmp_path / "not-kept").mkdir()
    (tmp_path / "not-kept" / FILE_NAME).write_text(lease_for("not-kept", tmp_path).to_json())
    return kept_machines(tmp_path)


@pytest.mark.parametrize(
    ("name", "run"),
    [("last", 2), (RUNS[0], 0), ("20260202", 2), ("20260101-000000-b", 1), (f"kvm-e2e-{RUNS[1]}", 1)],
)
def test_a_machine_is_called_by_its_run_by_its_beginning_or_last(
    machines: list[Kept], name: str, run: int
) -> None:
    assert choose(machines, name).run == RUNS[run]


@pytest.mark.parametrize(
    ("name", "told"),
    [("20260101", "matches 2 runs"), ("2026020Z-000000-cccccc", f"did you mean {RUNS[2]}"), ("", RUNS[0])],
)
def test_a_name_that_is_none_or_several_is_met_with_those_that_could_be_meant(
    machines: list[Kept], name: str, told: str
) -> None:
    with pytest.raises(PlanError) as raised:
        choose(machines, name)
    assert told in raised.value.message + raised.value.hint


def test_without_any_kept_machine_one_is_told_how_to_keep_one() -> None:
    with pytest.raises(PlanError, match="no machine was kept") as raised:
        choose([], "last")
    assert "--keep" in raised.value.hint


def test_a_record_comes_back_and_a_missing_or_broken_one_is_empty(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD
    for text in ("", "[]", "null", "{"):
        (tmp_path / "machine.json").write_text(text)
        assert read_record(tmp_path).plan == ""


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "x"}]', '[{"created": "never"}]'])
def test_damaged_records_of_snapshots_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "snapshots.json").write_text(text)
    assert read_records(tmp_path) == {}


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "a\nb", "a\0", "-a", ".a", "..", "ä", "a" * 65, "a\u202eb"]
)
def test_names_that_no_snapshot_can_have(name: str) -> None:
    with pytest.raises(PlanError, match="cannot name a snapshot") as raised:
        require_new_name(name, [])
    assert raised.value.message.isprintable()


def test_a_name_is_given_once_and_known_ones_are_told() -> None:
    require_new_name("clean-boot.2_x", ["clean-boot"])
    with pytest.raises(PlanError, match="already"):
        require_new_name("a", ["a", "b"])
    with pytest.raises(PlanError, match="no snapshot 'x'") as raised:
        require_known_name("x", ["a", "b"])
    assert raised.value.hint == "there are: a, b"


def snapshot(name: str, parent: str | None, *, is_current: bool = False) -> Snapshot:
    return Snapshot(
        name=name, parent=parent, created=datetime(2026, 1, 1, tzinfo=UTC), state="running", memory=True,
        method="internal", is_current=is_current,
    )  # fmt: skip


def test_the_tree_shows_what_came_from_what_and_where_the_machine_stands() -> None:
    found = [snapshot("a", None), snapshot("b", "a"), snapshot("c", "b", is_current=True), snapshot("d", "a"),
             snapshot("e\x1b[31m\n", None)]  # fmt: skip
    assert tree_of(found) == ["a", "├─ b", "│  └─ c *", "└─ d", "e"]


def test_the_table_tells_our_own_snapshots_from_those_of_others() -> None:
    info = SnapshotInfo(
        name="a", parent=None, created=datetime(2026, 1, 1, tzinfo=UTC), created_by="kvm-e2e", method="internal",
        memory=True, seconds=0.25, bytes=200 << 20, state="running", verified=True,
    )  # fmt: skip
    _, first, second = rows([snapshot("a", None), snapshot("b", "a")], {"a": info})
    assert first[5:] == ("200 MiB", "0.25 s", "kvm-e2e", "yes")
    assert second[5:] == ("", "", "others", "no")


def test_what_is_read_only_is_left_out_of_a_snapshot() -> None:
    xml = (
        "<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/><readonly/></disk>"
        "<disk><target dev='vdc'/></disk></devices></domain>"
    )
    assert disks_of(xml) == [("vda", "internal"), ("vdb", "no"), ("vdc", "internal")]


def test_openssh_follows_a_machine_whose_port_has_changed(tmp_path: Path) -> None:
    access = write_access(tmp_path, Address("127.0.0.1", 40000), "me", "key", "ssh-ed25519 AAAA")
    before = access.config.read_text()
    move_access(access.config, Address("127.0.0.1", 50000))
    assert read_address(access.config) == Address("127.0.0.1", 50000)
    assert access.config.read_text() == before.replace("40000", "50000")


def test_a_definition_of_the_past_gets_the_present_lease_and_does_not_wait_for_memory() -> None:
    definition = ElementTree.fromstring(
        f"<domain xmlns:q='{QEMU}'><metadata><l:lease xmlns:l='{LEASE_NAMESPACE}'>old</l:lease><other/></metadata>"
        "<q:commandline><q:arg value='-object'/><q:arg value='x'/><q:arg value='-incoming'/><q:arg value='defer'/>"
        "<q:arg value='-machine'/></q:commandline></domain>"
    )
    fit(definition, '{"new": 1}')
    assert definition.findtext(f"metadata/{{{LEASE_NAMESPACE}}}lease") == '{"new": 1}'
    left = [argument.get("value") for argument in definition.iterfind(f"{{{QEMU}}}commandline/")]
    assert left == ["-object", "x", "-machine"]
    fit(definition, None)
    assert definition.findtext(f"metadata/{{{LEASE_NAMESPACE}}}lease") == '{"new": 1}'


def test_a_disk_that_is_wound_back_gets_a_layer_over_what_it_was_and_the_image_keeps_its_owner() -> None:
    disk = ElementTree.fromstring(
        "<disk><source file='/overlay' index='1'/><backingStore type='file'><format type='qcow2'/>"
        "<source file='/image'><seclabel model='dac' relabel='no'/></source><backingStore/></backingStore></disk>"
    )
    wrap_disk(disk, Path("/layer"))
    assert disk.find("source").attrib == {"file": "/layer"}
    assert disk.find("backingStore/source").attrib == {"file": "/overlay"}
    assert disk.find("backingStore/backingStore/source").get("file") == "/image"
    assert disk.find("backingStore/backingStore/source/seclabel") is not None
