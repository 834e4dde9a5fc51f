"""What is said of a guest that lets us log in, but does not finish its first boot."""

from datetime import timedelta
from threading import Event

import pytest
from fakes import FakeGuest

from kvm_action.backends.first_boot import finished
from kvm_action.errors import BootError, CommandTimeoutError
from kvm_action.guest import GuestOutput


class HangingGuest(FakeGuest):
    def run(self, command: str, *, timeout: timedelta, **options: object) -> GuestOutput:
        Event().wait(min(timeout.total_seconds(), 0.01))
        raise CommandTimeoutError("took too long")


def test_a_cloud_init_that_hangs_is_told_with_the_file_that_shows_where() -> None:
    with pytest.raises(BootError, match="cloud-init has not finished 1ms after the first login") as raised:
        finished(HangingGuest({}), timedelta(milliseconds=1))
    assert "guest/cloud-init-output.log" in raised.value.hint


def test_the_limit_of_the_whole_run_is_not_blamed_on_cloud_init() -> None:
    with pytest.raises(CommandTimeoutError, match="took too long"):
        finished(HangingGuest({}), timedelta(minutes=5))


def test_a_module_that_failed_is_named() -> None:
    errors = '{"v1": {"errors": ["(\'scripts_user\', RuntimeError(\'1 failures\'))"]}}'
    guest = FakeGuest({"cloud-init": f"{errors}\nDebian\n6.1\nname\nid\n"})
    with pytest.raises(BootError, match=r"cloud-init failed in the guest: .*scripts_user"):
        finished(guest, timedelta(minutes=5))
