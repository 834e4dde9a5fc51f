"""`kvm-e2e doctor` on this very host."""

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action import proc
from kvm_action.errors import ExitCode

pytestmark = pytest.mark.integration


def doctor(home: Path, *options: str, **environment: str) -> proc.Completed:
    return proc.run(
        [sys.executable, "-m", "kvm_action", "doctor", *options],
        environment={"KVM_E2E_HOME": str(home), "NO_COLOR": "1", **environment},
        timeout=timedelta(minutes=2),
    )


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the slow looks at this host, made once for each version of libvirt, have found."""
    home = tmp_path_factory.mktemp("home")
    doctor(home)
    return home / "probes"


@pytest.fixture(autouse=True)
def remembered(tmp_path: Path, probes: Path) -> None:
    shutil.copytree(probes, tmp_path / "probes")


@pytest.fixture
def mute_libvirt(tmp_path: Path) -> Iterator[str]:
    """A daemon that accepts connections and never says a word."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        yield f"qemu+unix:///session?socket={path}"


def test_every_prerequisite_is_told(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    subjects = {finding["subject"] for finding in json.loads(done.stdout)}
    assert subjects >= {
        *("architecture", "CPU", "nested virtualization", "KVM modules", "/dev/kvm", "TCG guest"),
        *("qemu-system-x86_64", "qemu-img", "mmdebstrap", "user network", "Python: libvirt"),
        *("libvirt session", "libvirt system", "group libvirt", "group kvm", "services", "user namespaces"),
        *("base images", "memory", "swap", "huge pages", "/dev/shm", "disk speed", "CPU speed", "load"),
        *("CPU governor", "left-over files", "snapshots (bios)", "snapshots (uefi)"),
    }, done.stderr


def test_the_exit_code_follows_the_worst_finding(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    levels = {finding["level"] for finding in json.loads(done.stdout)}
    assert done.status == (ExitCode.INFRASTRUCTURE if "problem" in levels else ExitCode.PASSED)


def test_tcg_asks_nothing_of_kvm(tmp_path: Path) -> None:
    subjects = {finding["subject"] for finding in json.loads(doctor(tmp_path, "--json", "--accel", "tcg").stdout)}
    assert "TCG guest" in subjects
    assert not subjects & {"KVM guest", "KVM API", "/dev/kvm", "KVM modules"}


def test_kvm_that_is_required_and_does_not_run_is_a_problem(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--accel", "kvm")
    works = "ok       KVM guest" in done.stdout
    assert done.status == (ExitCode.PASSED if works else ExitCode.INFRASTRUCTURE)
    assert works or "kvm-e2e cannot run here" in done.stdout


def test_an_empty_path_names_the_packages_that_are_missing(tmp_path: Path) -> None:
    done = doctor(tmp_path, PATH=str(tmp_path))
    assert done.status == ExitCode.INFRASTRUCTURE
    assert "apt-get install -y qemu-system-x86\n" in done.stdout
    assert "apt-get install -y qemu-utils\n" in done.stdout


def test_a_run_folder_without_owner_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs/20260101-000000-abc").mkdir(parents=True)
    assert "left-over files: their runs are dead: 20260101-000000-abc" in doctor(tmp_path).stdout


def test_a_libvirt_that_never_answers_does_not_hang_the_doctor(tmp_path: Path, mute_libvirt: str) -> None:
    begun = time.monotonic()
    done = doctor(tmp_path, "--accel", "tcg", LIBVIRT_DEFAULT_URI=mute_libvirt)
    assert "problem  libvirt: did not answer in" in done.stdout
    assert done.status == ExitCode.INFRASTRUCTURE
    assert time.monotonic() - begun < 45


def test_a_daemon_that_is_not_there_is_named_with_its_address(tmp_path: Path) -> None:
    uri = f"qemu+unix:///session?socket={tmp_path}/nobody"
    done = doctor(tmp_path, "--accel", "tcg", LIBVIRT_DEFAULT_URI=uri)
    assert done.status == ExitCode.INFRASTRUCTURE
    assert f"problem  libvirt: libvirt does not answer at {uri}" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is spared the sudo")
def test_root_reads_commands_without_sudo(tmp_path: Path) -> None:
    assert "sudo " not in doctor(tmp_path).stdout
