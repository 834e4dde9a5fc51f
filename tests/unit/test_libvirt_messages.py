"""libvirt's errors in words for a user."""

import libvirt
import pytest

from kvm_action.hypervisor.connection import first_sentence


@pytest.mark.parametrize(
    "said",
    [
        "internal error: qemu unexpectedly closed the monitor: 2026-03-14T15:16:54.8Z qemu-kvm: no room",
        "internal error: process exited while connecting to monitor: 2026-03-14T15:16:54Z qemu-kvm: no room",
        "internal error: QEMU unexpectedly closed the monitor (vm='a b'): no room\nmore of it",
    ],
)
def test_what_qemu_said_before_it_ended_is_told_without_how_libvirt_met_it(said: str) -> None:
    assert first_sentence(libvirt.libvirtError(said)) == "QEMU ended: no room"


def test_other_errors_stay_as_they_are() -> None:
    assert first_sentence(libvirt.libvirtError("Network not found: no default")) == "Network not found: no default"
