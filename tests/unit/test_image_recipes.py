"""What a user may want of a built image, and how the image tells of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kvm_action.backends.firmware import require_firmware
from kvm_action.cli import main
from kvm_action.errors import ExitCode, ImageError, PlanError
from kvm_action.images.bootstrap import Order, inputs_of, mark
from kvm_action.images.guest_files import Disk, guest_tar
from kvm_action.images.mirror import Mirror, of_user
from kvm_action.images.mmdebstrap import Job, command_line
from kvm_action.images.model import Firmware, Image
from kvm_action.images.presets import PRESETS
from kvm_action.images.recipes import RECIPES, Script, Tuning, tuned

DEBIAN = RECIPES["debian-12"]
SCRIPT = Script(name="web.sh", content=b"#!/bin/sh\ntouch /etc/made\n")
ID = UUID("12345678-9abc-4def-8123-456789abcdef")


def disk(firmware: Firmware) -> Disk:
    return Disk(firmware=firmware, bytes=4 << 30, file_system=ID)


def test_each_wish_makes_it_another_recipe_and_no_wish_the_same() -> None:
    wishes = [
        Tuning(), Tuning(packages=("nginx",)), Tuning(disk_bytes=8 << 30), Tuning(firmware=Firmware.UEFI),
        Tuning(script=SCRIPT), Tuning(script=replace(SCRIPT, content=b"#!/bin/sh\n")),
    ]  # fmt: skip
    marks = [mark(tuned(DEBIAN, wish)) for wish in wishes]
    assert len(set(marks)) == len(wishes)
    assert marks[0] == mark(DEBIAN)
    assert all(each.startswith("bootstrap/debian-12@") for each in marks)


def test_packages_in_another_order_or_twice_or_already_there_are_the_same_image() -> None:
    wanted = mark(tuned(DEBIAN, Tuning(packages=("nginx", "acl"))))
    assert mark(tuned(DEBIAN, Tuning(packages=("acl", "nginx", "acl", "sudo")))) == wanted


def test_what_went_into_an_image_is_told_without_the_mirrors_password() -> None:
    recipe = tuned(DEBIAN, Tuning(packages=("nginx",), disk_bytes=8 << 30, script=SCRIPT))
    order = Order(recipe=recipe, name="web", mirror=Mirror(main="https://me:pw@deb.example/debian"))
    told = {each.name: each.value for each in inputs_of(order)}
    assert told.pop("script").startswith("web.sh sha256:")
    assert told == {
        "suite": "bookworm", "mirror": "https://deb.example/debian", "extra packages": "nginx", "size": "8.0 GiB",
    }  # fmt: skip


def test_firmware_brings_its_boot_loader_and_leaves_the_other_away() -> None:
    uefi = tuned(DEBIAN, Tuning(firmware=Firmware.UEFI)).packages
    assert "grub-efi-amd64-bin" in uefi
    assert "grub-pc-bin" not in uefi
    assert "grub-efi-amd64-bin" not in DEBIAN.packages


@pytest.mark.parametrize("name", ["Nginx", "a b", "--x", "x;reboot", "?essential", "nginx/sid", "a"])
def test_what_cannot_be_a_package_never_reaches_apt(name: str) -> None:
    with pytest.raises(PlanError, match="cannot be a package's name"):
        tuned(DEBIAN, Tuning(packages=(name,)))


@pytest.mark.parametrize("size", [1, 512 << 20, 3 << 40])
def test_a_disk_that_is_too_small_or_too_large_is_refused_before_the_build(size: int) -> None:
    with pytest.raises(PlanError, match="is not possible"):
        tuned(DEBIAN, Tuning(disk_bytes=size))


def test_a_script_has_to_say_what_runs_it() -> None:
    with pytest.raises(PlanError, match=r"x\.sh does not say what is to run it"):
        tuned(DEBIAN, Tuning(script=Script(name="x.sh", content=b"echo hello\n")))


@pytest.mark.parametrize(
    "address", ["deb.example/debian", "http://x y", "http://x [trusted=yes]", "cdrom:x", "http://x\ndeb"]
)
def test_a_mirror_that_would_say_more_than_an_address_in_sources_list_is_refused(address: str) -> None:
    with pytest.raises(PlanError, match="not the address of a mirror"):
        of_user(address, "")


def test_partitions_do_not_overlap_and_leave_room_for_both_copies_of_a_gpt() -> None:
    bios, uefi = disk(Firmware.BIOS), disk(Firmware.UEFI)
    assert (bios.root_offset, bios.root_offset + bios.root_bytes) == (1 << 20, 4 << 30)
    esp_end = int(uefi.environment["ESP_OFFSET"]) + int(uefi.environment["ESP_BYTES"])
    assert esp_end == uefi.root_offset
    assert uefi.root_offset + uefi.root_bytes <= (4 << 30) - 33 * 512
    assert uefi.esp_serial == "12345678"


def test_a_script_goes_in_as_it_is_and_cannot_read_the_disk() -> None:
    content = b"#!/bin/sh\necho @FILE_SYSTEM@\n"
    assert content in guest_tar(disk(Firmware.BIOS), content)
    assert b"12345678-9abc" not in content
    line = " ".join(command_line(job(script="web.sh")))
    assert "</dev/null" in line
    assert "user/script" not in " ".join(command_line(job()))


def job(script: str = "") -> Job:
    return Job(
        suite="bookworm", packages=("a",), sources=(), guest_tar=Path("/t"), script=script, disk_file=Path("/d"),
        disk=disk(Firmware.BIOS), report=Path("/r"), log=Path("/l"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("debian-12", "--url", "https://h/x"), "the method bootstrap has no --url"),
        (("debian-12-cloud", "--package", "nginx"), "the method cloud has no --package"),
        (("debian-12-cloud", "--url", "https://h/x"), "--url and --checksums belong together"),
        (("debian-12", "--method", "cloud"), "there is no cloud image debian-12"),
        (("debain-12",), "did you mean debian-12"),
        (("debian-12", "--size", "many"), "not a size: 'many'"),
        (("debian-12", "--script", "/no/such.sh"), "/no/such.sh cannot be read"),
        (("debian-12", "--as", "../x"), "cannot name an image"),
        (("debian-12", "--security-mirror", "http://127.0.0.1/x"), "goes with --mirror"),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_before_anything_is_done(
    words: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    assert main(["image", "build", *words]) in (ExitCode.USAGE, ExitCode.INFRASTRUCTURE)
    assert told in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.qcow2"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "none was given"),
        (("--sha256", "ab" * 32, "--checksums", "x"), "one is enough"),
        (("--sha256", "abc"), "is no checksum"),
        (("--checksums", "http://192.0.2.1/SUMS"), "prove nothing"),
        (("--checksums", "/no/SUMS"), "cannot be read"),
    ],
)
def test_an_import_without_a_good_checksum_does_not_begin(
    words: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    assert main(["image", "import", "https://192.0.2.1/disk.qcow2", "--name", "x", *words]) != ExitCode.PASSED
    assert told in capsys.readouterr().err


def test_presets_are_fetched_from_their_distributions_by_https_with_a_list_beside_them() -> None:
    for name, image in PRESETS.items():
        host = {"debian": "cloud.debian.org", "ubuntu": "cloud-images.ubuntu.com"}[name.partition("-")[0]]
        assert image.url.startswith(f"https://{host}/")
        assert image.checksums.rpartition("/")[0] == image.url.rpartition("/")[0]
        assert image.name == f"{image.os}-cloud" == name


def test_an_image_for_uefi_is_refused_by_a_machine_without_it_before_it_hangs_in_its_firmware() -> None:
    image = Image(
        name="mine", path=Path("/x"), sha256="", bytes=1, virtual_bytes=1, firmware=Firmware.UEFI, os="",
        created=datetime.now(UTC), recipe="bootstrap/x",
    )  # fmt: skip
    require_firmware(image, "uefi")
    with pytest.raises(ImageError, match="boots by UEFI"):
        require_firmware(image, "bios")
    require_firmware(replace(image, firmware=Firmware.BIOS), "uefi")  # it may have both boot loaders
