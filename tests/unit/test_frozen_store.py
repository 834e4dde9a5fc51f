"""The store of templates: what is damaged is never used, what is used is never removed, what is dead goes."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread
from types import SimpleNamespace

import pytest

from kvm_action.frozen import Draft, NoRoomError, Shape, Template, TemplateError, TemplateStore
from kvm_action.frozen.memory_file import folder_of_store, look, occupied
from kvm_action.renewal import FrozenIdentity

SHAPE = Shape(
    image="0" * 64,
    image_name="debian-12",
    image_path="/images/files/0.qcow2",
    firmware="bios",
    cpus=2,
    memory=1 << 20,
    cpu="host-passthrough",
    accel="tcg",
    disk=1 << 30,
    user="testuser",
    sudo=True,
    with_password=False,
    hypervisor="QEMU 7.2",
    host_cpu="a CPU",
    tool="1",
    in_memory_file=True,
)
IDENTITY = FrozenIdentity(nonce="n", machine_id="m", boot_id="b", hostname="template", host_key="k")


@pytest.fixture
def store(tmp_path: Path) -> TemplateStore:
    (tmp_path / "shm").mkdir()
    (tmp_path / "templates").mkdir()
    return TemplateStore(tmp_path / "templates", tmpfs=tmp_path / "shm")


def fill(draft: Draft) -> None:
    for file in (draft.disk, draft.state, draft.seed, draft.memory_file):
        file.write_bytes(b"x" * 1000)


def made(store: TemplateStore, shape: Shape = SHAPE) -> Template:
    with store.lock(shape.key, on_wait=lambda: None), store.draft(shape) as draft:
        fill(draft)
        return store.publish(draft, shape, IDENTITY, 1.0)


def files(store: TemplateStore) -> Iterator[Path]:
    return (file for folder in (store.root, store.tmpfs) for file in folder.rglob("*") if file.is_file())


def leftovers(store: TemplateStore) -> list[str]:
    return sorted(file.name for file in files(store) if "locks" not in file.parts and file.name != "store")


def test_a_template_is_found_again_as_it_was_made(store: TemplateStore) -> None:
    template = made(store)
    assert store.find(SHAPE.key) == template
    assert template.memory_file.is_relative_to(store.tmpfs)
    assert (template.folder / "template.json").stat().st_mode & 0o077 == 0


def test_anything_that_it_depends_on_makes_it_another_template() -> None:
    others = {"image": "1" * 64, "memory": 2 << 20, "cpus": 1, "hypervisor": "QEMU 8", "tool": "2", "user": "x",
              "sudo": False, "with_password": True, "accel": "kvm", "in_memory_file": False}  # fmt: skip
    keys = {SHAPE.key, *(replace(SHAPE, **{name: value}).key for name, value in others.items())}
    assert len(keys) == len(others) + 1
    assert replace(SHAPE, image_name="another name").key == SHAPE.key


@pytest.mark.parametrize("part", ["disk", "state", "seed", "memory_file"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_file_is_noticed_before_anything_starts_from_it(
    store: TemplateStore, part: str, damage: str
) -> None:
    file: Path = getattr(made(store), part)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"x" * 500 if damage == "cut" else b"y" * 1000)
    with pytest.raises(TemplateError, match=r"changed|gone"):
        store.find(SHAPE.key)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', json.dumps({"shape": {}})])
def test_a_manifest_of_another_version_is_no_template(store: TemplateStore, text: str) -> None:
    (made(store).folder / "template.json").write_text(text)
    with pytest.raises(TemplateError, match="manifest"):
        store.find(SHAPE.key)
    assert list(store.list()) == []


def test_templates_in_another_versions_format_go_with_their_memory(store: TemplateStore) -> None:
    manifest = made(store).folder / "template.json"
    old = json.loads(manifest.read_text())
    del old["memory_holes"]
    manifest.write_text(json.dumps(old))
    replace(store, leased=lambda: [SHAPE.key]).sweep()
    assert manifest.exists()
    store.sweep()
    assert leftovers(store) == []


def test_a_manifest_names_nothing_to_remove_but_its_own_memory(store: TemplateStore, tmp_path: Path) -> None:
    manifest = made(store).folder / "template.json"
    other = tmp_path / "precious.ram"
    other.touch()
    manifest.write_text(json.dumps({"memory_file": str(other)}))
    store.sweep()
    assert not manifest.exists()
    assert other.exists()


def test_what_is_not_published_leaves_nothing(store: TemplateStore) -> None:
    def interrupted() -> None:
        with store.lock(SHAPE.key, on_wait=lambda: None), store.draft(SHAPE) as draft:
            fill(draft)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert leftovers(store) == []


def test_a_killed_builders_files_go_with_the_next_sweep_but_a_living_ones_stay(store: TemplateStore) -> None:
    pid = os.fork()
    if pid == 0:
        with store.lock(SHAPE.key, on_wait=lambda: None), store.draft(SHAPE) as draft:
            fill(draft)
            os._exit(9)  # as SIGKILL: no clean-up runs
    os.waitpid(pid, 0)
    assert len(leftovers(store)) == 4
    with store.lock(SHAPE.key, on_wait=lambda: None):
        store.sweep()
        assert len(leftovers(store)) == 4
    store.sweep()
    assert leftovers(store) == []


def test_the_memory_of_a_published_template_survives_sweeping(store: TemplateStore) -> None:
    template = made(store)
    store.sweep()
    assert store.find(SHAPE.key) == template


def test_memory_that_the_template_of_its_key_does_not_name_goes(store: TemplateStore) -> None:
    """A maker was killed while another waited for its lock, and published after that."""
    template = made(store)
    lost = template.memory_file.with_name(f"{SHAPE.key}-lost.ram")
    lost.write_bytes(b"x")
    store.sweep()
    assert (lost.exists(), template.memory_file.exists()) == (False, True)
    lost.write_bytes(b"x")
    assert made(store).memory_file.exists()
    assert not lost.exists()


def test_a_store_has_one_place_in_the_tmpfs_however_its_path_is_spelled(store: TemplateStore) -> None:
    link = store.root.with_name("link")
    link.symlink_to(store.root)
    memory = made(replace(store, root=link)).memory_file
    store.remove(SHAPE.key)
    assert not memory.exists()


def test_what_living_machines_may_still_take_is_no_room(store: TemplateStore) -> None:
    host = SimpleNamespace(memory=lambda: {"MemAvailable": 1 << 40, "MemTotal": 1 << 40})
    before = look(store.root, store.tmpfs, host)
    file = folder_of_store(store.root, store.tmpfs) / "a-b.ram"
    with file.open("wb") as sparse:
        sparse.write(bytes(1 << 20))
        sparse.truncate(1 << 30)
    assert look(store.root, store.tmpfs, host).memory_available == before.memory_available
    after = look(store.root, store.tmpfs, host, in_use=[file])
    assert before.memory_available - after.memory_available == (1 << 30) - (1 << 20)
    assert before.tmpfs - after.tmpfs >= min(before.tmpfs, (1 << 30) - (1 << 20))


def test_memory_that_machines_only_read_is_given_back_and_the_template_stays_sound(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as tmpfs:
        store = TemplateStore(tmp_path, tmpfs=Path(tmpfs))
        with store.lock(SHAPE.key, on_wait=lambda: None), store.draft(SHAPE) as draft:
            fill(draft)
            os.truncate(draft.memory_file, 64 << 20)
            with draft.memory_file.open("r+b") as file:
                file.seek(32 << 20)
                file.write(b"y" * 1000)
            template = store.publish(draft, SHAPE, IDENTITY, 1.0)
        before = occupied(template.memory_file)
        with template.memory_file.open("r+b") as file, mmap(file.fileno(), 0, access=ACCESS_COPY) as machine:
            assert sum(machine[place] for place in range(4096, 32 << 20, 4096)) == 0
            assert sum(machine[place] for place in range(33 << 20, 64 << 20, 4096)) == 0
            machine[48 << 20] = 1  # its own, in what the template never wrote
            assert occupied(template.memory_file) > before + (60 << 20)
            store.tidy(SHAPE.key)
            assert occupied(template.memory_file) <= before + (1 << 20)
            assert machine[:1000] == b"x" * 1000
            assert machine[32 << 20 : (32 << 20) + 1000] == b"y" * 1000
            assert machine[48 << 20] == 1
            assert machine[-1] == 0
        assert store.find(SHAPE.key) == template


def test_the_memory_of_a_store_that_somebody_removed_is_freed(store: TemplateStore, tmp_path: Path) -> None:
    memory = made(store).memory_file
    store.root.rename(tmp_path / "elsewhere")
    TemplateStore(tmp_path / "other", tmpfs=store.tmpfs).sweep()
    assert not memory.exists()


def test_removing_takes_the_memory_too(store: TemplateStore) -> None:
    made(store)
    assert store.remove(SHAPE.key) > 0
    assert leftovers(store) == []


def test_a_template_on_which_a_machine_stands_or_is_about_to_is_not_removed(store: TemplateStore) -> None:
    made(store)
    assert replace(store, leased=lambda: [SHAPE.key]).remove_idle(SHAPE.key) is None
    with store.lock(SHAPE.key, on_wait=lambda: None):  # a run chooses it at this moment
        assert store.remove_idle(SHAPE.key) is None
    assert store.remove_idle(SHAPE.key) > 0


def test_the_least_recently_used_goes_when_there_are_too_many_unless_a_machine_stands_on_it(
    store: TemplateStore,
) -> None:
    shapes = [replace(SHAPE, cpus=number) for number in range(1, 8)]
    store = replace(store, leased=lambda: [shapes[0].key])
    for number, shape in enumerate(shapes[:6]):
        os.utime(made(store, shape).folder / "template.json", (number, number))
    made(store, shapes[6])
    left = {template.key for template in store.list()}
    assert left == {shape.key for shape in shapes if shape is not shapes[1]}


def test_a_template_in_doubt_serves_nobody_and_goes_when_no_machine_stands_on_it_any_more(
    store: TemplateStore,
) -> None:
    in_use = [SHAPE.key]
    store = replace(store, leased=lambda: in_use)
    template = made(store)
    store.retire(SHAPE.key, "its nonce was wrong")
    store.sweep()
    assert template.disk.exists(), "a kept machine stands on it"
    with pytest.raises(TemplateError, match="not in order: its nonce was wrong"):
        store.find(SHAPE.key)
    in_use.clear()
    store.sweep()
    assert leftovers(store) == []


def test_a_template_in_doubt_on_which_nobody_stands_goes_at_once(store: TemplateStore) -> None:
    made(store)
    store.retire(SHAPE.key, "its nonce was wrong")
    assert leftovers(store) == []
    store.retire(SHAPE.key, "twice")
    assert store.find(SHAPE.key) is None


def test_what_a_maker_left_that_was_killed_while_another_waited_is_in_nobodys_way(store: TemplateStore) -> None:
    with store.lock(SHAPE.key, on_wait=lambda: None):
        (store.root / f".new-{SHAPE.key}").mkdir()
        (store.root / f".new-{SHAPE.key}" / "disk.qcow2").write_bytes(b"half")
    assert made(store).key == SHAPE.key


def test_memory_is_not_swept_from_under_a_template_that_is_being_published(store: TemplateStore) -> None:
    with store.lock(SHAPE.key, on_wait=lambda: None), store.draft(SHAPE) as draft:
        fill(draft)
        store.sweep()
        store.publish(draft, SHAPE, IDENTITY, 1.0)
    assert store.find(SHAPE.key) is not None


def test_no_room_is_said_and_makes_nothing(store: TemplateStore) -> None:
    with pytest.raises(NoRoomError), store.draft(replace(SHAPE, memory=1 << 60)):
        pass
    assert leftovers(store) == []


def test_the_first_users_of_a_template_wait_for_one_build(store: TemplateStore) -> None:
    built, barrier = [], Barrier(4)

    def user() -> None:
        barrier.wait()
        with store.lock(SHAPE.key, on_wait=lambda: None):
            if store.find(SHAPE.key) is None:
                with store.draft(SHAPE) as draft:
                    fill(draft)
                    built.append(store.publish(draft, SHAPE, IDENTITY, 1.0))

    threads = [Thread(target=user) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_refusal_is_remembered_until_it_is_forgotten(store: TemplateStore) -> None:
    store.refuse(SHAPE.key, "the guest has no agent")
    assert store.refusal(SHAPE.key) == "the guest has no agent"
    store.forget_refusal(SHAPE.key)
    assert store.refusal(SHAPE.key) == ""


def test_after_a_day_a_template_is_tried_again(store: TemplateStore) -> None:
    store.refuse(SHAPE.key, "libvirt went away")
    yesterday = time.time() - 25 * 3600
    os.utime(store.root / f"{SHAPE.key}.refused.json", (yesterday, yesterday))
    assert store.refusal(SHAPE.key) == ""
