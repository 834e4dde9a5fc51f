"""A real disk's files as a tar archive, made by an ordinary user too."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm_action.errors import ImageError
from kvm_action.images.reference import image_of_file
from kvm_action.images.root_archive import root_archive
from kvm_action.images.store import Store

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="files of several owners can only be made by root"),
]
NOBODY = 65534
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that an ordinary user may reach."""
    folder = Path(tempfile.mkdtemp(prefix="e2e-root-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def disk(place: Path) -> Path:
    root = place / "root"
    for path, owner, mode in (("bin/tool", (0, 42), 0o4755), ("home/me/a file", (1000, 1000), 0o600),
                              ("etc/closed/secret", (0, 0), 0o000)):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
        os.chown(root / path, *owner)
        (root / path).chmod(mode)
    os.setxattr(root / "bin/tool", "security.capability", CAPABILITY)
    (root / "etc/closed").chmod(0o500)
    (root / "bin/link").symlink_to("tool")
    os.link(root / "home/me/a file", root / "home/me/same")
    return disk_of(root, place / "disk.raw")


def disk_of(root: Path, raw: Path, *options: str) -> Path:
    with raw.open("wb") as file:
        file.truncate(64 << 20)
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "offset=1048576", *options, "-d", root, raw, "60M"]
    subprocess.run(make, check=True)
    subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", raw], check=True, text=True,
                   input="label: dos\nstart=2048, type=83, bootable\n")  # fmt: skip
    return raw


def as_user(uid: int, act) -> int:
    """Call ``act`` in a child process of that user; returns its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("uid", [0, NOBODY], ids=["root", "ordinary user"])
def test_owners_modes_links_and_capabilities_survive_whoever_makes_the_archive(place: Path, uid: int) -> None:
    raw = disk(place)

    def make() -> None:
        image = image_of_file(raw)
        with root_archive(Store(place / "store"), image) as archive:
            shutil.copyfile(archive, place / "copy.tar")

    assert as_user(uid, make) == 0
    with tarfile.open(place / "copy.tar") as tar:
        found = {member.name: member for member in tar}
        facts = {name: (each.uid, each.gid, each.mode) for name, each in found.items()}
        assert facts["bin/tool"] == (0, 42, 0o4755)
        assert facts["etc/closed"] == (0, 0, 0o500)
        assert facts["etc/closed/secret"] == (0, 0, 0)
        assert tar.extractfile("etc/closed/secret").read() == b"etc/closed/secret"
        assert facts["home/me/a file"] == (1000, 1000, 0o600)
        assert tar.extractfile("home/me/same").read() == b"home/me/a file"
    assert found["bin/link"].linkname == "tool"
    assert {found["home/me/same"].islnk(), found["home/me/a file"].islnk()} == {True, False}
    kept = found["bin/tool"].pax_headers["SCHILY.xattr.security.capability"]
    assert kept.encode(errors="surrogateescape") == CAPABILITY
    assert "lost+found" not in found
    assert not list((place / "store/work").iterdir()), "the work folder was left behind"


def test_a_disk_that_is_no_ext4_is_refused_with_a_way_out(place: Path) -> None:
    raw = place / "noise.raw"
    raw.write_bytes(os.urandom(4 << 20))
    with (
        pytest.raises(ImageError, match="cannot be read") as caught,
        root_archive(Store(place / "store"), image_of_file(raw)),
    ):
        pass
    assert "docker://" in caught.value.hint


@pytest.mark.parametrize(
    ("folder", "files", "before", "after"),
    [
        ("x\ndump p ", ["{home}/.bashrc\ny/f"], b"", b""),
        (".", ["zzz..zzz.bashrc"], b"zzz..zzz.bashrc", b"zz/../../escape"),
        (".", ["same_a", "same_b"], b"same_b", b"same_a"),
    ],
    ids=["a line end", "a slash", "two of one name"],
)
def test_no_name_in_an_image_makes_a_file_outside(
    place: Path, folder: str, files: list[str], before: bytes, after: bytes
) -> None:
    home, tree = place / "home", place / "hostile"
    home.mkdir()
    tree.mkdir()
    (tree / "p").write_text("evil")
    for name in files:
        path = tree / folder / name.format(home=str(home).lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("evil")
    raw = disk_of(tree, place / "hostile.raw", "-O", "^metadata_csum")
    if before:
        raw.write_bytes(raw.read_bytes().replace(before, after))
    names = set(place.rglob("*"))
    with pytest.raises(ImageError), root_archive(Store(place / "store"), image_of_file(raw)):
        pass
    assert {path for path in place.rglob("*") if "store" not in path.parts} <= names
    assert list(home.iterdir()) == []


def test_files_whose_names_are_of_other_bytes_are_all_there(place: Path) -> None:
    tree = place / "latin"
    tree.mkdir()
    for name in (b"caf\xe8", b"caf\xe9"):
        (tree / os.fsdecode(name)).write_bytes(name)
    image = image_of_file(disk_of(tree, place / "latin.raw"))
    with root_archive(Store(place / "store"), image) as archive, tarfile.open(archive) as tar:
        assert {tar.extractfile(member).read() for member in tar if member.isreg()} == {b"caf\xe8", b"caf\xe9"}
