"""Disks that others made, from a file or the web: what is found out about them, and what is refused and why."""

import hashlib
import os
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import web_server as web
from small_disks import BYTES, EFI, SYSTEM, converted, raw_disk, with_larger_home

from kvm_action.digest import sha256_of
from kvm_action.errors import ImageError
from kvm_action.images import cloud, importing
from kvm_action.images.checksums import Checksum
from kvm_action.images.importing import Promise, import_file
from kvm_action.images.model import Firmware, Image, Input, Package
from kvm_action.images.presets import CloudImage
from kvm_action.images.store import Store

pytestmark = pytest.mark.integration


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def promise(path: Path) -> Promise:
    return Promise(checksum=Checksum("sha256", sha256_of(path)), place=Input(name="file", value=str(path)))


def take(store: Store, path: Path, told: list[str] | None = None, **said: object) -> Image:
    promised = replace(promise(path), **said)
    return import_file(
        store, path, name="mine", promise=promised, progress=[].append if told is None else told.append
    )


def refusal(store: Store, path: Path, **said: object) -> str:
    """What a user is told; nothing is left of the attempt."""
    with pytest.raises(ImageError) as caught:
        take(store, path, **said)
    assert store.list() == ()
    left = [each for each in store.root.rglob("*") if each.is_file() and each.suffix != ".lock"]
    assert not left, "a refused image left something behind"
    return f"{caught.value.message}\n{caught.value.hint}"


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk"])
def test_system_packages_and_firmware_of_an_imported_disk_are_found_out(
    store: Store, tmp_path: Path, kind: str
) -> None:
    raw = raw_disk(tmp_path / "disk.raw")
    path = raw if kind == "raw" else converted(raw, kind)
    image = take(store, path)
    assert (image.os, image.firmware, image.method) == ("debian-12", Firmware.BIOS, "import")
    assert image.packages == (
        Package(name="cloud-init", version="22.4.2-1"), Package(name="sudo", version="1.9.13p3"),
    )  # fmt: skip
    assert {each.name: each.value for each in image.inputs} == {
        "file": str(path), "checksum": f"sha256:{sha256_of(path)}", "format": kind, "cloud-init": "yes",
    }  # fmt: skip
    assert store.get("mine") == image
    store.verify(image)


def test_a_disk_that_boots_by_uefi_only_is_known_as_such(store: Store, tmp_path: Path) -> None:
    assert take(store, raw_disk(tmp_path / "a.raw", table=EFI, code=False)).firmware is Firmware.UEFI
    assert take(store, raw_disk(tmp_path / "b.raw", table=EFI)).firmware is Firmware.BIOS


def test_what_the_user_says_of_firmware_and_system_is_believed(store: Store, tmp_path: Path) -> None:
    image = take(store, raw_disk(tmp_path / "a.raw"), firmware=Firmware.UEFI, os="mine-1")
    assert (image.firmware, image.os) == (Firmware.UEFI, "mine-1")


def test_compressed_files_of_packer_and_of_distributions_are_taken(store: Store, tmp_path: Path) -> None:
    raw = raw_disk(tmp_path / "disk.raw")
    assert take(store, converted(raw, "qcow2", "-c")).os == "debian-12"
    assert take(store, converted(raw, "vmdk", "-o", "subformat=streamOptimized")).os == "debian-12"


def test_the_same_disk_under_two_names_keeps_both_origins(store: Store, tmp_path: Path) -> None:
    path = raw_disk(tmp_path / "disk.raw")
    take(store, path, os="first-1")
    again = replace(promise(path), os="second-2", place=Input(name="url", value="https://h.example/disk.raw"))
    import_file(store, path, name="other", promise=again, progress=[].append)
    first, second = store.get("mine"), store.get("other")
    assert first.path == second.path
    assert (first.os, second.os) == ("first-1", "second-2")
    assert (first.inputs[0].name, second.inputs[0].name) == ("file", "url")
    assert store.remove("other") == 0
    assert store.get("mine") == first


def test_a_store_of_before_each_name_had_its_manifest_is_read(store: Store, tmp_path: Path) -> None:
    image = take(store, raw_disk(tmp_path / "disk.raw"))
    pointer = store.root / "names/mine.json"
    pointer.unlink()
    pointer.write_text(f'{{"sha256": "{image.sha256}"}}\n')
    assert store.get("mine") == image


def test_a_disk_without_cloud_init_is_warned_of(store: Store, tmp_path: Path) -> None:
    told: list[str] = []
    files = {name: text for name, text in SYSTEM.items() if "bin" not in name}
    image = take(store, raw_disk(tmp_path / "a.raw", files), told)
    assert any("has no cloud-init" in line for line in told)
    assert Input(name="cloud-init", value="no") in image.inputs


def test_the_root_is_found_beside_a_larger_home(store: Store, tmp_path: Path) -> None:
    image = take(store, with_larger_home(raw_disk(tmp_path / "disk.raw")))
    assert image.os == "debian-12"
    assert Input(name="cloud-init", value="yes") in image.inputs


def test_no_room_is_asked_for_the_holes_of_a_raw_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_disk(tmp_path / "disk.raw")
    os.truncate(raw, 256 << 20)
    asked: list[int] = []
    monkeypatch.setattr(importing, "require_space", lambda _folder, wanted, _what: asked.append(wanted))
    assert take(store, raw).virtual_bytes == 256 << 20
    assert asked[0] < BYTES


def test_a_disk_whose_file_system_nobody_here_can_read_is_taken_all_the_same(store: Store, tmp_path: Path) -> None:
    raw = raw_disk(tmp_path / "disk.raw")
    with raw.open("r+b") as file:
        file.seek(1 << 20)
        file.write(bytes(64 << 10))
    image = take(store, raw)
    assert (image.os, image.packages) == ("", ())
    assert Input(name="cloud-init", value="not seen: no ext4 root file system") in image.inputs


def test_a_raw_file_that_calls_itself_qcow2_is_refused(store: Store, tmp_path: Path) -> None:
    path = raw_disk(tmp_path / "disk.raw").rename(tmp_path / "disk.qcow2")
    assert "is said to be qcow2, and is raw" in refusal(store, path)
    assert take(store, path, format="raw").os == "debian-12"


def test_a_disk_of_another_format_than_was_promised_is_refused(store: Store, tmp_path: Path) -> None:
    path = converted(raw_disk(tmp_path / "disk.raw"), "qcow2").rename(tmp_path / "disk.img")
    assert "is said to be raw, and is qcow2" in refusal(store, path, format="raw")


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, "64M"], check=True)
    return path


def test_a_backing_file_is_refused_before_any_program_opens_it(store: Store, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # whoever opens it waits for ever
    path = qcow2(tmp_path / "evil.qcow2", "-u", "-F", "raw", "-b", str(pipe))
    told = refusal(store, path)
    assert f"it needs {pipe}" in told
    assert "qemu-img convert" in told
    assert "it needs /etc/shadow" in refusal(
        store, qcow2(tmp_path / "evil2.qcow2", "-u", "-F", "raw", "-b", "/etc/shadow")
    )


def test_a_backing_file_of_the_disk_in_a_raw_disks_clothes_is_refused(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "disk.raw", "-u", "-F", "raw", "-b", "/etc/shadow")
    assert "/etc/shadow" in refusal(store, path, format="raw")


def test_data_in_another_file_is_refused(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "evil.qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    assert "its data is in another file" in refusal(store, path)


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_that_is_only_a_list_of_other_files_is_refused(
    store: Store, tmp_path: Path, subformat: str
) -> None:
    path = converted(raw_disk(tmp_path / "disk.raw"), "vmdk", "-o", f"subformat={subformat}")
    assert "points at other files" in refusal(store, path)


def test_a_vmdk_that_names_a_file_of_this_host_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "evil.vmdk"
    path.write_text('# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/shadow" 0\n')
    assert "points at other files" in refusal(store, path)


def test_a_vmdk_with_a_parent_is_refused(store: Store, tmp_path: Path) -> None:
    parent = converted(raw_disk(tmp_path / "disk.raw"), "vmdk")
    path = tmp_path / "child.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", path], check=True)
    assert "it needs a parent" in refusal(store, path)


def test_an_encrypted_disk_is_refused(store: Store, tmp_path: Path) -> None:
    path = qcow2(
        tmp_path / "secret.qcow2",
        "--object",
        "secret,id=s,data=x",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s",
    )
    assert "encrypted" in refusal(store, path)


@pytest.mark.parametrize("kind", ["qcow2", "vmdk"])
def test_a_file_that_was_cut_short_is_refused(store: Store, tmp_path: Path, kind: str) -> None:
    path = converted(raw_disk(tmp_path / "disk.raw", {**SYSTEM, "big": "x" * (8 << 20)}), kind)
    os.truncate(path, path.stat().st_size // 2)
    told = refusal(store, path)
    assert "damaged" in told or "cut short" in told


def test_a_raw_disk_that_was_cut_short_is_refused(store: Store, tmp_path: Path) -> None:
    path = raw_disk(tmp_path / "disk.raw")
    os.truncate(path, BYTES // 2)
    assert f"was cut short: its last partition ends at byte {BYTES}" in refusal(store, path)


def test_a_disk_of_absurd_size_is_refused(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "huge.qcow2")
    with path.open("r+b") as file:
        file.seek(24)
        file.write(struct.pack(">Q", 1 << 60))
    told = refusal(store, path)
    assert "1048576.0 TiB" in told or "cannot be read as a disk image" in told
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", path, "100T"], check=True)
    assert "says that its disk has 100.0 TiB" in refusal(store, path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page that came instead"),
        (b"\x1f\x8b\x08" + bytes(600), "unpack it first (gunzip)"),
        (b"\xfd7zXZ\0" + bytes(600), "unpack it first (unxz)"),
        (bytes(32769) + b"CD001" + bytes(600), "CD or DVD"),
        (bytes(257) + b"ustar" + bytes(600), "tar archive"),
        (b"conectix" + bytes(600), "VHD"),
        (bytes(1 << 20), "is no disk that a machine can boot from"),
        (b"", "says that its disk has 0 B"),
    ],
)
def test_what_is_no_disk_is_called_what_it_is(store: Store, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(content)
    assert words in refusal(store, path)


class Publisher:
    """A distribution that publishes one image, on loopback."""

    def __init__(self, shelf: web.Shelf, disk: Path) -> None:
        self.shelf = shelf
        self.publish(disk)

    def publish(self, disk: Path, digest: str = "") -> None:
        content = disk.read_bytes()
        self.shelf.files["/latest/disk.qcow2"] = content
        digest = digest or hashlib.sha512(content).hexdigest()
        self.shelf.files["/latest/SHA512SUMS"] = f"{'0' * 128}  other.qcow2\n{digest}  disk.qcow2\n".encode()

    @property
    def image(self) -> CloudImage:
        folder = f"{self.shelf.address}/latest"
        return CloudImage(name="tiny-cloud", url=f"{folder}/disk.qcow2", checksums=f"{folder}/SHA512SUMS")

    def fetched(self) -> int:
        return len(self.shelf.ranges("/latest/disk.qcow2"))


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with web.web_server() as shelf:
        yield Publisher(shelf, converted(raw_disk(tmp_path / "disk.raw"), "qcow2"))


def build(store: Store, publisher: Publisher, *, force: bool = False) -> Image:
    return cloud.build(store, publisher.image, store.root.parent / "downloads", [].append, force=force)


def leftovers(store: Store) -> list[Path]:
    places = [*store.root.rglob("*"), *(store.root.parent / "downloads").glob("*")]
    return [each for each in places if each.is_file() and each.suffix != ".lock"]


def test_a_cloud_image_is_fetched_verified_and_sealed_with_all_that_is_known_of_it(
    store: Store, publisher: Publisher
) -> None:
    publisher.shelf.faults["/latest/disk.qcow2"] = [web.breaks_off_after(100_000)]
    image = build(store, publisher)
    inputs = {each.name: each.value for each in image.inputs}
    assert (image.name, image.method, image.recipe, image.os) == (
        "tiny-cloud", "cloud", "cloud/tiny-cloud", "debian-12",
    )  # fmt: skip
    assert inputs["url"] == publisher.image.url
    assert inputs["checksums"] == publisher.image.checksums
    assert inputs["checksum"].startswith("sha512:")
    store.verify(store.get("tiny-cloud"))


def test_a_cloud_image_is_fetched_again_only_when_another_one_was_published(
    store: Store, publisher: Publisher, tmp_path: Path
) -> None:
    first = build(store, publisher)
    assert build(store, publisher) == first
    assert publisher.fetched() == 1
    publisher.publish(converted(raw_disk(tmp_path / "newer.raw", {**SYSTEM, "new": "new"}), "qcow2"))
    assert build(store, publisher).sha256 != first.sha256
    build(store, publisher, force=True)
    assert publisher.fetched() == 3


def test_builds_of_one_cloud_image_at_once_fetch_it_once(store: Store, publisher: Publisher) -> None:
    build(store, publisher)
    for lock in (store.root.parent / "downloads").glob("*.lock"):
        os.utime(lock, (0, 0))  # its age says nothing
    publisher.shelf.asked.clear()
    store.remove("tiny-cloud")
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: build(store, publisher), range(3)))
    assert {image.sha256 for image in made} == {store.get("tiny-cloud").sha256}
    assert publisher.fetched() == 1
    assert [file.suffix for file in (store.root.parent / "downloads").iterdir() if file.suffix != ".lock"] == []


def test_a_cloud_image_with_a_wrong_checksum_is_refused_and_gone(store: Store, publisher: Publisher) -> None:
    publisher.publish(store.root.parent / "disk.qcow2", digest="ab" * 64)
    with pytest.raises(ImageError, match=r"disk\.qcow2 is not the file that was promised: sha512"):
        build(store, publisher)
    assert leftovers(store) == []


def test_a_file_that_ends_early_by_its_own_length_is_refused(store: Store, publisher: Publisher) -> None:
    publisher.shelf.faults["/latest/disk.qcow2"] = [web.says_length(70_000)]
    with pytest.raises(ImageError, match="not the file that was promised"):
        build(store, publisher)
    assert leftovers(store) == []


def test_a_cloud_image_without_cloud_init_is_refused_with_the_variant_that_has_it(
    store: Store, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.publish(converted(raw_disk(tmp_path / "nocloud.raw", {"etc/hostname": "x"}), "qcow2"))
    with pytest.raises(ImageError, match="has no cloud-init") as caught:
        build(store, publisher)
    assert "generic" in caught.value.hint
    assert leftovers(store) == []


def test_a_list_that_does_not_name_the_image_names_what_it_does(store: Store, publisher: Publisher) -> None:
    publisher.shelf.files["/latest/SHA512SUMS"] = f"{'0' * 128}  other.qcow2\n".encode()
    with pytest.raises(ImageError, match=r"has no checksum of disk\.qcow2") as caught:
        build(store, publisher)
    assert "other.qcow2" in caught.value.hint
    assert publisher.fetched() == 0
