"""The commands of the runner's page, run in order in the root file system of a Debian that has nothing yet."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from act import copy_of_action
from runner_page import USER, set_up

from kvm_action.images.mirror import of_this_host, source_lines

BLOCKS = set_up()
SUITE = "bookworm"


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh Debian whose packages come from where this host's do; its services do not start."""
    if os.geteuid() != 0:
        pytest.skip("root makes the file system that the page's commands change")
    mirror = of_this_host()
    assert mirror, "this host's apt names no Debian mirror"
    root = tmp_path_factory.mktemp("debian") / "root"
    sources = root.parent / "sources.list"
    sources.write_text("\n".join(source_lines(mirror, SUITE)) + "\n")
    subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", SUITE, root, sources], check=True)
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if certificates := authorities_of_this_host():
        shutil.copy(certificates, root / "etc/pip-certificates.crt")
    source = root / "usr/src/kvm-e2e"
    source.mkdir(parents=True)
    copy_of_action(source)
    subprocess.run(["chown", "--recursive", "1000:1000", source], check=True)
    yield root
    shutil.rmtree(root)


def authorities_of_this_host() -> str:
    """The file that pip is told to use for TLS, by the environment or its configuration; most often none."""
    asked = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    configured = re.search(r"^global\.cert='(.+)'$", told, re.MULTILINE)
    return os.environ.get("PIP_CERT") or (configured[1] if configured else "")


def test_each_command_works_on_a_fresh_debian(debian: Path) -> None:
    assert len(BLOCKS) >= 6
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "KVM_E2E_SOURCE": "/usr/src/kvm-e2e",
        "LC_ALL": "C.UTF-8",
    }
    if (debian / "etc/pip-certificates.crt").exists():
        environment["PIP_CERT"] = "/etc/pip-certificates.crt"
    for block in BLOCKS:
        shell = ["bash", "-e", "-o", "pipefail", "-c", block.commands]
        if block.kind == "sh":
            shell = ["runuser", "--user", USER, "--", "env", f"HOME=/home/{USER}", *shell]
        ended = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "chroot", debian, "sh", "-c", MOUNTED, "sh", *shell],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{block.commands}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    groups = (debian / "etc/group").read_text()
    assert re.search(rf"^kvm:.*\b{USER}$", groups, re.MULTILINE)
    assert not re.search(rf"^(libvirt|sudo|docker):.*\b{USER}\b", groups, re.MULTILINE)
    assert (debian / f"home/{USER}/kvm-e2e/bin/kvm-e2e").exists()


MOUNTED = 'mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mkdir -p /run/lock && exec "$@"'
