"""Preseeds and ISO files that the installer could not use are told so before anything boots."""

import gzip
import io
from pathlib import Path

import pycdlib
import pytest

from kvm_action.errors import ImageError, PlanError
from kvm_action.images.debian_installer import cpio
from kvm_action.images.debian_installer.medium import add_files
from kvm_action.images.debian_installer.preseed import default_preseed, own_preseed
from kvm_action.images.debian_installer.sources import from_iso
from kvm_action.images.mirror import Mirror
from kvm_action.images.recipes import RECIPES

pytestmark = pytest.mark.integration

DEBIAN_12 = RECIPES["debian-12"]
INSTALLER = {
    "etc/lsb-release": b'DISTRIB_RELEASE="12 (bookworm) - installer build 20230607"\n',
    "etc/default-release": b"bookworm\n",
    "usr/lib/cdebconf/frontend/text.so": b"\x7fELF",
}
NETINST = ("/INSTALL/VMLINUZ.;1", "/install.amd/vmlinuz", "/INSTALL/INITRD.GZ;1", "/install.amd/initrd.gz")
MINI = ("/LINUX.;1", "/linux", "/INITRD.GZ;1", "/initrd.gz")


def written(folder: Path, text: str) -> Path:
    path = folder / "custom.cfg"
    path.write_text(text)
    return path


def initramfs(files: dict[str, bytes]) -> bytes:
    return gzip.compress(cpio.archive(files, "none"))


def volume(folder: Path, layout: tuple[str, str, str, str], initrd: bytes) -> Path:
    """An ISO file with a kernel and an initramfs where ``layout`` says."""
    iso, path = pycdlib.PyCdlib(), folder / "some.iso"
    iso.new(interchange_level=3, rock_ridge="1.09")
    if layout is NETINST:
        iso.add_directory("/INSTALL", rr_name="install.amd")
    for plain, real, data in ((layout[0], layout[1], b"kernel"), (layout[2], layout[3], initrd)):
        iso.add_fp(io.BytesIO(data), len(data), plain, rr_name=Path(real).name)
    iso.write(str(path))
    iso.close()
    return path


def test_our_own_preseed_has_no_mistake(tmp_path: Path) -> None:
    text = default_preseed(DEBIAN_12, Mirror(main="http://mirror.example/debian")).text
    assert own_preseed(written(tmp_path, text)).text.startswith(text.rstrip("\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("d-i debian-installer/locale string C\nd-i netcfg/get_hostname\n", "parse error on line 2"),
        ("d-i debian-installer/locale strng C\n", "Unknown type strng"),
        ("# nothing but a comment\n\n", "answers nothing"),
    ],
)
def test_a_preseed_with_a_mistake_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said) as raised:
        own_preseed(written(tmp_path, text))
    assert "d-i time/zone string Etc/UTC" in raised.value.hint


def test_a_preseed_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "custom.cfg"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="cannot be read"):
        own_preseed(path)


@pytest.mark.parametrize("layout", [NETINST, MINI], ids=["netinst", "mini"])
def test_kernel_and_initramfs_are_found_on_an_iso(tmp_path: Path, layout: tuple[str, str, str, str]) -> None:
    disc = volume(tmp_path, layout, initramfs(INSTALLER))
    medium = from_iso(DEBIAN_12, disc, tmp_path)
    assert medium.kernel.read_bytes() == b"kernel"
    assert medium.build == "12 (bookworm) - installer build 20230607"
    assert medium.disc == disc


def test_what_is_added_to_the_initramfs_comes_after_it_on_a_whole_word(tmp_path: Path) -> None:
    medium = from_iso(DEBIAN_12, volume(tmp_path, MINI, initramfs(INSTALLER)), tmp_path)
    before = medium.initrd.stat().st_size
    add_files(medium, {"preseed.cfg": b"x"}, "own")
    with medium.initrd.open("rb") as stream:
        stream.seek(before + -before % 4)
        assert dict(cpio.members(stream)) == {"preseed.cfg": b"x"}


@pytest.mark.parametrize(
    ("initrd", "said"),
    [
        (initramfs({"etc/lsb-release": b"DISTRIB_ID=Ubuntu\n"}), "not Debian's installer"),
        (
            initramfs({**INSTALLER, "etc/default-release": b"trixie\n"}),
            "installs trixie, and debian-12 is bookworm",
        ),
        (initramfs(dict(list(INSTALLER.items())[:2])), "cannot be operated by a serial console"),
        (gzip.compress(b"no archive at all" * 20), "cannot be read"),
        (initramfs(INSTALLER)[:60], "cannot be read"),
        (b"not even compressed", "cannot be read"),
    ],
)
def test_an_iso_with_another_initramfs_is_refused(tmp_path: Path, initrd: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        from_iso(DEBIAN_12, volume(tmp_path, NETINST, initrd), tmp_path)


def test_the_iso_of_another_release_names_the_command_for_it(tmp_path: Path) -> None:
    disc = volume(tmp_path, MINI, initramfs({**INSTALLER, "etc/default-release": b"trixie\n"}))
    with pytest.raises(ImageError) as raised:
        from_iso(DEBIAN_12, disc, tmp_path)
    assert "image build debian-13 --method installer" in raised.value.hint


def test_an_iso_that_is_no_installer_is_refused(tmp_path: Path) -> None:
    iso, path = pycdlib.PyCdlib(), tmp_path / "music.iso"
    iso.new()
    iso.write(str(path))
    iso.close()
    with pytest.raises(ImageError, match="is no Debian installer, but something else") as raised:
        from_iso(DEBIAN_12, path, tmp_path)
    assert "netinst" in raised.value.hint


@pytest.mark.parametrize("cut", [0, 100, 40_000])
def test_a_file_that_is_no_iso_or_was_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    disc = volume(tmp_path, NETINST, initramfs(INSTALLER))
    disc.write_bytes(disc.read_bytes()[:cut])
    with pytest.raises(ImageError, match=r"is no ISO file, or a damaged one|cannot be read"):
        from_iso(DEBIAN_12, disc, tmp_path)


def test_a_missing_iso_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no ISO file"):
        from_iso(DEBIAN_12, tmp_path / "none.iso", tmp_path)
