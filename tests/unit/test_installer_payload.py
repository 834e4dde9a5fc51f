"""What the installer is given: an archive that a kernel unpacks, and answers that belong to this host's mirror."""

import io

import pytest

from kvm_action.images.debian_installer import cpio
from kvm_action.images.debian_installer.payload import FOLDER, payload
from kvm_action.images.debian_installer.preseed import Preseed, default_preseed, packages_for
from kvm_action.images.mirror import Mirror
from kvm_action.images.recipes import RECIPES

RECIPE = RECIPES["debian-12"]
MIRROR = Mirror(main="http://mirror.example/debian/", security="http://mirror.example:8080/debian-security")


def lines(mirror: Mirror) -> list[str]:
    return default_preseed(RECIPE, mirror).text.splitlines()


def test_the_installer_is_sent_to_the_mirrors_that_this_host_uses() -> None:
    told = lines(MIRROR)
    assert "d-i mirror/http/hostname string mirror.example" in told
    assert "d-i mirror/http/directory string /debian" in told
    assert "d-i apt-setup/security_host string mirror.example:8080" in told
    assert "d-i apt-setup/security_path string /debian-security" in told
    assert "d-i apt-setup/services-select multiselect security, updates" in told


def test_a_mirror_by_https_and_one_without_security_updates_are_told_as_such() -> None:
    told = lines(Mirror(main="https://mirror.example"))
    assert "d-i mirror/https/hostname string mirror.example" in told
    assert "d-i mirror/https/directory string /" in told
    assert "d-i apt-setup/services-select multiselect updates" in told


def test_no_blank_is_left_to_fill_in_and_the_machine_ends_with_the_installation() -> None:
    text = default_preseed(RECIPE, MIRROR).text
    assert "@" not in text.replace("@NAME@", "")
    assert "d-i debian-installer/exit/poweroff boolean true" in text


def test_an_installed_image_has_what_a_run_needs() -> None:
    assert {"cloud-init", "openssh-server", "sudo", "curl", "wget", "git", "qemu-guest-agent"} <= set(
        packages_for(RECIPE)
    )


def test_the_installers_own_choice_of_initramfs_and_boot_loader_is_left_alone() -> None:
    files = payload(Preseed("mine", "d-i a/b string c\n"), RECIPE)
    assert not [path for path in files if "initramfs-tools" in path]
    assert not {"initramfs-tools", "grub-pc-bin"} & set(packages_for(RECIPE))
    assert files["preseed.cfg"] == b"d-i a/b string c\n"


def test_the_archive_holds_every_file_once_and_folders_of_its_own_only() -> None:
    files = payload(Preseed("mine", "d-i a/b string c\n"), RECIPE)
    packed = list(cpio.members(io.BytesIO(cpio.archive(files, FOLDER))))
    names = [name for name, _ in packed]
    assert len(names) == len(set(names))
    folders = {name for name in names if name not in files}
    assert folders
    assert all(name.split("/")[0] == FOLDER for name in folders)
    assert {name: content for name, content in packed if name in files} == files


def test_a_folder_comes_before_what_is_in_it() -> None:
    names = [name for name, _ in cpio.members(io.BytesIO(cpio.archive({"own/a/b/c": b"x"}, "own")))]
    assert names == ["own", "own/a", "own/a/b", "own/a/b/c"]


@pytest.mark.parametrize("data", [b"", b"070701", b"\x7fELF" + bytes(200), b"070701" + b"f" * 104 + bytes(10)])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cpio"):
        list(cpio.members(io.BytesIO(data)))
