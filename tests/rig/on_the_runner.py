"""What has to hold on the runner: first what the page set up, then runs on KVM, in one libvirt after the other.

A pytest-testinfra file, which the plan names. Its tests are in an order: step 6 of the page comes in between.
`progress.log` beside this file grows by a line of evidence for each.
"""

import shlex
import time
from pathlib import Path

import pytest
from testinfra.host import Host

USER = "github-runner"
SCENARIOS = ("doctor", "boot", "template", "template-again", "restore", "clones", "cancel", "kill")


def tell(line: str) -> None:
    with (Path(__file__).parent / "progress.log").open("a") as log:
        print(line, file=log)


def groups(host: Host) -> set[str]:
    return set(host.check_output(f"id --name --groups {USER}").split())


def play(host: Host, place: str, scenario: str) -> None:
    began = time.monotonic()
    words = ["sudo", "/opt/rig/as-runner", "env", "PYTHONPATH=/opt/rig", "PYTHONDONTWRITEBYTECODE=1"]
    ended = host.run(shlex.join([*words, "python3", "-m", "scenarios", place, scenario]))
    evidence = (ended.stdout + ended.stderr).strip() or f"exit {ended.rc}"
    tell(f"{evidence} [{time.monotonic() - began:.0f} s]")
    assert ended.rc == 0, evidence


def test_the_user_is_in_the_group_kvm_and_in_none_that_can_become_root(host: Host) -> None:
    assert groups(host) == {USER, "kvm"}


def test_the_user_may_not_use_sudo(host: Host) -> None:
    assert host.run(f"sudo runuser --user {USER} -- sudo --non-interactive true").rc != 0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_the_users_session(host: Host, scenario: str) -> None:
    play(host, "session", scenario)


def test_the_pages_step_for_a_libvirt_network(host: Host) -> None:
    for block in sorted(host.check_output("ls /opt/rig/network").split()):
        done = host.run(f"sudo env DEBIAN_FRONTEND=noninteractive bash -e -o pipefail /opt/rig/network/{block}")
        assert done.rc == 0, done.stdout[-1000:] + done.stderr[-1000:]
    images = (
        f"/home/{USER}/.local/share/kvm-e2e/images"  # QEMU's user cannot look there; a copy that takes no room
    )
    copied = host.run(f"sudo /opt/rig/as-runner cp --archive --link {images} /var/lib/kvm-e2e/")
    assert copied.rc == 0, copied.stderr
    assert groups(host) == {USER, "kvm", "libvirt"}
    assert host.service("libvirtd").is_enabled
    assert "yes" in host.check_output("sudo virsh net-info default | grep -i autostart")
    store = host.file("/var/lib/kvm-e2e")
    assert (store.user, store.mode) == (USER, 0o711)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_the_systems_libvirt(host: Host, scenario: str) -> None:
    play(host, "system", scenario)
