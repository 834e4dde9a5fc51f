"""libvirt's errors in words for a user."""

import libvirt
import pytest

from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import LOST_HINT, first_sentence, in_our_words


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


def test_a_qemu_that_ends_without_a_word_is_said_so() -> None:
    said = "internal error: process exited while connecting to monitor"
    assert first_sentence(libvirt.libvirtError(said)) == "QEMU ended"


def test_a_daemon_that_is_gone_is_told_from_one_that_refuses() -> None:
    for reason, hint in (("client socket is closed", LOST_HINT), ("no such thing", "mend it")):
        with pytest.raises(HostError) as caught, in_our_words("no luck", "mend it"):
            raise libvirt.libvirtError(f"internal error: {reason}")
        assert caught.value.message == f"no luck: internal error: {reason}"
        assert caught.value.hint == hint
