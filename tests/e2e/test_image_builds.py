"""Images as a user wants them, really built and booted; and builds that cannot succeed, which leave nothing."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import ordinary_user
from mirrors import mirror_that_dies_after
from tooling import Ended, Tool
from web_server import breaks_off_after, web_server

from kvm_action.digest import sha256_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BUILD = 1500  # under load; some fifty seconds on a quiet host
PREPARE = """#!/bin/sh
set -e
id -u >/etc/made-by
head -c 1 | wc -c >>/etc/made-by
apt-get install -y --no-install-recommends cowsay
"""
PROOF = """set -ex
test -d /sys/firmware/efi
test "$(tr '\\n' . </etc/made-by)" = 0.0.
sudo test -e /boot/efi/EFI/BOOT/BOOTX64.EFI
test "$(df --output=size -BM / | tail -1 | tr -dc 0-9)" -gt 5000
sudo update-grub
test ! -e /var/tmp/kvm-e2e
"""


@pytest.fixture
def builder(tool: Tool) -> Iterator[Tool]:
    """The command with an empty store."""
    (tool.home / "images").unlink()
    yield tool
    shutil.rmtree(tool.home / "images", ignore_errors=True)


def script(tool: Tool, text: str) -> str:
    path = tool.folder / "prepare.sh"
    path.write_text(text)
    return str(path)


def refused(ended: Ended, tool: Tool) -> str:
    """What was told; the store is empty."""
    assert ended.status == 3, ended.stdout + ended.stderr
    left = [each for each in (tool.home / "images").rglob("*") if each.is_file()]
    assert not [each for each in left if each.suffix not in (".log", ".lock")], "something was left behind"
    assert not list((tool.home / "images/work").iterdir())
    return ended.stderr.partition("error: ")[2]


def test_an_image_with_a_users_packages_script_size_and_uefi_boots_and_has_them(builder: Tool) -> None:
    prepare = script(builder, PREPARE)
    wishes = ("--package", "acl", "--script", prepare, "--size", "3GiB", "--firmware", "uefi", "--as", "mine")
    made = builder("image", "build", "debian-12", *wishes, timeout=BUILD)
    assert made.status == 0, made.stderr
    shown = json.loads(builder("image", "inspect", "mine", "--json").stdout)
    assert (shown["firmware"], shown["virtual_bytes"], shown["method"]) == ("uefi", 3 << 30, "bootstrap")
    assert shown["inputs"]["extra packages"] == "acl"
    assert shown["inputs"]["script"] == f"prepare.sh sha256:{sha256_of(Path(prepare))}"
    assert {"acl", "cowsay"} <= shown["package_versions"].keys()
    assert builder("image", "build", "debian-12", *wishes, timeout=30).status == 0, "made once is enough"
    plan = builder.write_plan(
        "machine: {image: mine, memory: 768MiB, cpus: 2, disk: 6GiB, firmware: uefi}\nsnapshots: []\n"
        f"provision: {{run: {json.dumps(PROOF)}}}\n"
    )
    ended = builder("run", str(plan), "--start", "boot")
    assert ended.status == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_interrupted_leaves_nothing(builder: Tool, number: signal.Signals, status: int) -> None:
    before = set(Path(tempfile.gettempdir()).glob("mmdebstrap.*"))
    process, out = builder.start("image", "build", "debian-12")
    assert process.stderr
    assert any("installing the base system" in line for line in process.stderr)  # it is well under way then
    process.send_signal(number)
    ended = builder.wait(process, out, timeout=60)
    assert ended.status == status, ended.stderr
    assert not list((builder.home / "images/work").iterdir())
    assert set(Path(tempfile.gettempdir()).glob("mmdebstrap.*")) <= before


def test_a_script_that_fails_ends_the_build_with_its_last_words(builder: Tool) -> None:
    prepare = script(builder, "#!/bin/sh\necho the licence server is away >&2\nexit 7\n")
    told = refused(builder("image", "build", "debian-12", "--script", prepare, timeout=BUILD), builder)
    assert "prepare.sh failed with status 7: the licence server is away" in told
    assert "logs/debian-12.log" in told


def test_a_disk_that_is_too_small_for_its_files_is_told_what_they_need(builder: Tool) -> None:
    prepare = script(builder, "#!/bin/sh\nhead -c 900M /dev/urandom >/opt/ballast\n")
    ended = builder("image", "build", "debian-12", "--script", prepare, "--size", "1GiB", timeout=BUILD)
    told = refused(ended, builder)
    assert "a disk of 1.0 GiB is too small: its files alone need" in told
    assert "--size" in told


def test_a_package_that_does_not_exist_is_named(builder: Tool) -> None:
    ended = builder("image", "build", "debian-12", "--package", "no-such-package", timeout=BUILD)
    assert "bookworm has no package no-such-package" in refused(ended, builder)


def test_a_mirror_without_the_suite_is_told_so(builder: Tool) -> None:
    with web_server() as shelf:
        ended = builder("image", "build", "debian-12", "--mirror", shelf.address, timeout=BUILD)
    told = refused(ended, builder)
    assert "the mirror does not have bookworm" in told
    assert "--mirror" in told


@pytest.mark.parametrize("packages", [20, 90], ids=["base system", "rest"])
def test_a_mirror_that_dies_half_way_is_told_so(builder: Tool, packages: int) -> None:
    with mirror_that_dies_after(packages) as address:
        ended = builder("image", "build", "debian-12", "--mirror", address, timeout=BUILD)
    assert "the mirror does not answer any more" in refused(ended, builder)


def test_a_cloud_image_is_fetched_over_a_bad_line_and_boots(builder: Tool, images: Path) -> None:
    digest = json.loads((images / "names/debian-12.json").read_text())["sha256"]
    with web_server() as shelf:
        shelf.files["/disk.qcow2"] = (images / f"files/{digest}.qcow2").read_bytes()
        shelf.files["/SHA256SUMS"] = f"{digest}  disk.qcow2\n".encode()
        shelf.faults["/disk.qcow2"] = [breaks_off_after(100 << 20)] * 2
        where = ("--url", f"{shelf.address}/disk.qcow2", "--checksums", f"{shelf.address}/SHA256SUMS")
        made = builder("image", "build", "debian-12-cloud", *where)
    assert made.status == 0, made.stderr
    assert "downloaded" in made.stderr
    shown = json.loads(builder("image", "inspect", "debian-12-cloud", "--json", "--verify").stdout)
    assert (shown["method"], shown["os"], shown["firmware"]) == ("cloud", "debian-12", "bios")
    assert shown["packages"] > 200
    assert not [each for each in (builder.home / "cache/downloads").iterdir() if each.suffix != ".lock"]
    plan = builder.write_plan(
        "machine: {image: debian-12-cloud, memory: 768MiB, cpus: 2}\nsnapshots: []\nprovision: {run: 'true'}\n"
    )
    ended = builder("run", str(plan), "--start", "boot")
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.result["image"]["sha256"] == shown["sha256"]


def test_an_ordinary_user_builds_an_image_for_uefi_with_a_script(images: Path) -> None:
    with ordinary_user() as user:
        checkout = user.install_tool()
        (user.home / "prepare.sh").write_text(PREPARE)
        user.own_everything()
        environment = {"KVM_E2E_HOME": str(user.home / "own"), "PYTHONPATH": str(user.home / "packages")}
        tool = ["/usr/bin/python3", "-m", "kvm_action", "image"]
        build = [*tool, "build", "debian-12", "--firmware", "uefi", "--script", str(user.home / "prepare.sh")]
        made = user.run(build, cwd=checkout, environment=environment, timeout=BUILD)
        assert made.returncode == 0, made.stderr
        shown = user.run([*tool, "inspect", "debian-12", "--json"], cwd=checkout, environment=environment)
    assert "cowsay" in json.loads(shown.stdout)["package_versions"]
