"""The store of base images, with real disk files."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kvm_action.digest import sha256_of
from kvm_action.errors import E2EError, ImageError, PlanError
from kvm_action.images import qemu_img
from kvm_action.images.checksums import Checksum
from kvm_action.images.importing import Promise, import_file
from kvm_action.images.model import Image, Input
from kvm_action.images.store import Store
from kvm_action.runs import images_in_use, run_folder

pytestmark = pytest.mark.integration


def disk(folder: Path, name: str = "disk.qcow2", kind: str = "qcow2", data: int = 1 << 20) -> Path:
    path = folder / name
    raw = folder / f"{name}.raw"
    raw.write_bytes(os.urandom(440) + bytes(70) + b"\x55\xaa" + os.urandom(data) + bytes(8 << 20))
    subprocess.run(["qemu-img", "convert", "-O", kind, raw, path], check=True)
    raw.unlink()
    return path


def take(store: Store, path: Path, name: str = "mine", sha256: str = "") -> Image:
    promise = Promise(
        checksum=Checksum("sha256", sha256 or sha256_of(path)), place=Input(name="file", value=str(path))
    )
    return import_file(store, path, name=name, promise=promise, progress=lambda _line: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk"])
def test_a_disk_of_any_kind_is_taken_in_as_a_read_only_file_named_by_its_content(
    store: Store, tmp_path: Path, kind: str
) -> None:
    image = take(store, disk(tmp_path, f"disk.{kind}", kind))
    assert store.get("mine") == image
    assert image.path.stem == image.sha256 == sha256_of(image.path)
    assert image.path.stat().st_mode & 0o222 == 0
    assert qemu_img.probe(image.path).format == "qcow2"


def test_an_unknown_name_says_what_was_meant_and_how_to_get_it(store: Store) -> None:
    with pytest.raises(ImageError, match="debian-13") as raised:
        store.get("debain-13")
    assert "kvm-e2e image build debian-13" in raised.value.hint


def test_a_wrong_checksum_is_refused_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not the file that was promised"):
        take(store, disk(tmp_path), sha256="0" * 64)
    assert store.list() == ()


def test_a_file_that_is_not_there_is_said_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no image file"):
        store.get(str(tmp_path / "nothing.qcow2"))


def test_a_truncated_disk_is_refused(store: Store, tmp_path: Path) -> None:
    path = disk(tmp_path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ImageError):
        store.get(str(path))


def test_an_empty_disk_is_whole_although_its_last_cluster_is_written_in_part(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1G"], check=True)
    assert store.get(str(path)).virtual_bytes == 1 << 30


def test_a_disk_whose_backing_file_points_into_the_host_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "evil.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", path, "1G"], check=True
    )
    with pytest.raises(ImageError, match="/etc/shadow"):
        take(store, path)


def test_text_that_calls_itself_qcow2_is_no_disk_with_that_format(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "text.qcow2"
    path.write_text("QFI\xfb not really")
    with pytest.raises(E2EError):
        take(store, path, sha256="0" * 64)


@pytest.mark.parametrize("name", ["", "../up", "a b", "x/y", "name.qcow2", "-x"])
def test_a_name_cannot_lead_out_of_the_store(store: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(PlanError):
        take(store, disk(tmp_path), name)


def test_a_file_of_the_store_that_was_cut_short_is_noticed_before_a_machine_starts_from_it(
    store: Store, tmp_path: Path
) -> None:
    image = take(store, disk(tmp_path))
    image.path.chmod(0o600)
    os.truncate(image.path, 1000)
    with pytest.raises(ImageError, match="damaged"):
        store.get("mine")


def test_a_name_that_is_taken_again_leaves_the_old_file_to_the_overlays_on_it(
    store: Store, tmp_path: Path
) -> None:
    old = take(store, disk(tmp_path, "a.qcow2"))
    new = take(store, disk(tmp_path, "b.qcow2"))
    assert store.get("mine").sha256 == new.sha256
    assert old.path.exists()
    assert store.remove_unused() > 0
    assert not old.path.exists()
    assert new.path.exists()


def test_many_who_take_in_the_same_name_at_once_do_not_collide(store: Store, tmp_path: Path) -> None:
    paths = [disk(tmp_path, f"{number}.qcow2") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda path: take(store, path), paths))
    assert store.get("mine").sha256 in {image.sha256 for image in images}
    assert not list((store.root / "work").glob("*"))


def test_an_image_that_a_machine_uses_is_not_removed(store: Store, tmp_path: Path) -> None:
    image = take(store, disk(tmp_path))
    with image.path.open("rb"), pytest.raises(ImageError, match="in use"):
        store.remove("mine")
    assert store.remove("mine") > 0
    assert store.list() == ()


def test_an_image_of_a_machine_whose_qemu_is_another_user_is_not_removed(store: Store, tmp_path: Path) -> None:
    image = take(store, disk(tmp_path))
    with run_folder(tmp_path / "runs", "20260101-000000-aaaaaa") as folder:
        folder.renew(replace(folder.lease, image=image.sha256))
        machines = images_in_use(tmp_path / "runs")
        with pytest.raises(ImageError, match="in use by run 20260101-000000-aaaaaa"):
            store.remove("mine", machines)
        take(store, disk(tmp_path, "b.qcow2"))
        assert store.remove_unused(machines) == 0
        assert image.path.exists()
    assert store.remove_unused(images_in_use(tmp_path / "runs")) > 0


def test_what_a_killed_builder_left_is_removed_by_the_next_one(store: Store, tmp_path: Path) -> None:
    with store.workplace("mine") as folder:
        abandoned = folder.parent / "abandoned"
        shutil.copytree(folder, abandoned)
    path = disk(tmp_path)
    take(store, path)
    assert [left for left in (store.root / "work").iterdir() if left.name != "abandoned"] == []


def test_an_overlay_reads_its_image_and_never_writes_it(store: Store, tmp_path: Path) -> None:
    image = take(store, disk(tmp_path))
    overlay = tmp_path / "overlay.qcow2"
    qemu_img.create_overlay(image.path, overlay, 64 << 20)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 1M", overlay], check=True, capture_output=True)
    assert qemu_img.probe(overlay).virtual_bytes == 64 << 20
    assert sha256_of(image.path) == image.sha256
