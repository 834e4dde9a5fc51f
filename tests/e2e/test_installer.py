"""The real Debian installer in a real machine: a whole installation, and what goes wrong in its first minutes."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pycdlib
import pytest
from tooling import REPOSITORY, Ended, Tool

from kvm_action.errors import ImageError
from kvm_action.images import mirror
from kvm_action.images.debian_installer.sources import from_package, own_apt, require_udebs
from kvm_action.images.recipes import RECIPES

pytestmark = [pytest.mark.slow, pytest.mark.installer, pytest.mark.timeout(3600)]

NAME = "installed-by-a-test"
EARLY = 900.0

NETWORK = """
d-i debian-installer/locale string en_US.UTF-8
d-i keyboard-configuration/xkb-keymap select us
d-i netcfg/choose_interface select auto
d-i netcfg/get_hostname string debian
d-i netcfg/get_domain string
"""
MIRROR = """
d-i mirror/country string manual
d-i mirror/protocol select http
d-i mirror/http/hostname string {host}
d-i mirror/http/directory string /debian
d-i mirror/http/proxy string
"""


@pytest.fixture
def own_store(tool: Tool) -> Iterator[Path]:
    """A store of the test's own, since what it makes must not be what other tests find."""
    store = tool.home / "images"
    shared = store.resolve()
    store.unlink()
    store.mkdir()
    yield store
    assert shared.exists()


def install(tool: Tool, *options: str, timeout: float = EARLY) -> Ended:
    return tool("image", "build", "debian-12", "--method", "installer", "--as", NAME, *options, timeout=timeout)


def is_clean(tool: Tool, store: Path) -> bool:
    """Is nothing left but the logs?"""
    left = [path for folder in ("names", "files", "work") for path in (store / folder).glob("*")]
    runs = tool.home / "runs"
    return not left and not tool.machines() and not (runs.exists() and list(runs.iterdir()))


def mini_iso(folder: Path) -> Path:
    """What Debian publishes as mini.iso: the kernel and the initramfs of its netboot package in the root."""
    host_mirror = mirror.of_this_host()
    assert host_mirror is not None
    place = folder / "netboot"
    place.mkdir()
    medium, path, iso = (
        from_package(own_apt(RECIPES["debian-12"], host_mirror, place)),
        folder / "mini.iso",
        pycdlib.PyCdlib(),
    )
    iso.new(interchange_level=3, rock_ridge="1.09", vol_ident="ISOIMAGE")
    iso.add_file(str(medium.kernel), "/LINUX.;1", rr_name="linux")
    iso.add_file(str(medium.initrd), "/INITRD.GZ;1", rr_name="initrd.gz")
    iso.write(str(path))
    iso.close()
    return path


@contextlib.contextmanager
def nobody_listening() -> Iterator[int]:
    """A port of loopback that is taken and answers nobody."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_question_that_the_preseed_leaves_open_is_shown_with_its_name(tool: Tool, own_store: Path) -> None:
    preseed = tool.write_plan(NETWORK + "d-i netcfg/disable_autoconfig boolean true\n", "custom.cfg")
    ended = install(tool, "--preseed", str(preseed), "--iso", str(mini_iso(tool.folder)))
    assert ended.status == 3
    assert "stage “network”: it waits for an answer" in ended.stderr
    assert "IP address" in ended.stderr.partition("waits for an answer")[2]
    assert "netcfg/get_ipaddress" in ended.stderr
    assert is_clean(tool, own_store)


def test_a_mirror_that_cannot_be_reached_is_told_and_leaves_nothing(tool: Tool, own_store: Path) -> None:
    with nobody_listening() as port:
        preseed = tool.write_plan(NETWORK + MIRROR.format(host=f"10.0.2.2:{port}"), "custom.cfg")
        ended = install(tool, "--preseed", str(preseed), "--iso", str(mini_iso(tool.folder)))
    assert ended.status == 3
    assert "stage “network”" in ended.stderr
    assert "mirror" in ended.stderr.partition("stage “network”")[2].lower()
    assert is_clean(tool, own_store)


def require_a_whole_mirror(folder: Path) -> None:
    """The installer fetches most of itself from a mirror; one that leaves that out cannot serve this test."""
    host_mirror, place = mirror.of_this_host(), folder / "asking"
    assert host_mirror is not None
    place.mkdir()
    try:
        require_udebs(own_apt(RECIPES["debian-12"], host_mirror, place))
    except ImageError as error:
        pytest.skip(error.message)


def test_debian_is_installed_and_hello_runs_on_it(tool: Tool, own_store: Path) -> None:
    require_a_whole_mirror(tool.folder)
    made = install(tool, timeout=3500)
    assert made.status == 0, made.stderr
    for stage in ("network", "partitioning", "base system", "tasks", "boot loader", "finish"):
        assert f"installer: {stage}" in made.stderr
    facts = json.loads(tool("image", "inspect", NAME, "--json", "--verify").stdout)
    assert facts["method"] == "installer"
    assert facts["inputs"]["installer"].startswith("debian-installer-12-netboot-amd64 ")
    assert len(facts["inputs"]["preseed_sha256"]) == 64
    assert {"cloud-init", "openssh-server", "sudo", "curl", "wget", "git", "qemu-guest-agent"} <= set(
        facts["package_versions"]
    )
    assert facts["bytes"] < 1.5 * 2**30
    again = install(tool)
    assert again.status == 0
    assert "installing" not in again.stderr, "an image made of the same things is used again"
    ended = tool(
        "run", str(REPOSITORY / "examples/hello/plan.yml"), "--image", NAME, "--set", "machine.memory=1GiB"
    )
    assert ended.status == 0, ended.stdout + ended.stderr
