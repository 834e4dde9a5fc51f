"""How long a guest may take, on hosts that are slow themselves."""

from datetime import timedelta
from threading import Event

import pytest

from kvm_action.backends.boot_watch import PATIENCE
from kvm_action.doctor.examination import Probe, examine
from kvm_action.errors import HostError
from kvm_action.patience import VARIABLE, stretched

MINUTE = timedelta(minutes=1)


def test_a_slow_host_is_given_as_much_more_time_as_its_user_says() -> None:
    assert stretched(MINUTE, {}) == MINUTE
    assert stretched(MINUTE, {VARIABLE: ""}) == MINUTE
    assert stretched(MINUTE, {VARIABLE: "2.5"}) == timedelta(minutes=2, seconds=30)


@pytest.mark.parametrize("text", ["0", "0.5", "-1", "101", "nan", "inf", "much"])
def test_a_factor_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(HostError, match=VARIABLE) as refused:
        stretched(MINUTE, {VARIABLE: text})
    assert "1 to 100" in str(refused.value.hint)


def test_doctor_gives_a_slow_host_more_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "100")
    slow = Probe(subject="slow", look=lambda: Event().wait(0.05) or [], patience=timedelta(milliseconds=5))
    assert examine([slow]) == []
    monkeypatch.setenv(VARIABLE, "1")
    [late] = examine([slow])
    assert "did not answer" in late.seen


def test_every_limit_of_a_boot_is_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "4")
    given, usual = PATIENCE["kvm"].stretched(), PATIENCE["kvm"]
    assert (given.total, given.silence, given.at_login) == (
        usual.total * 4,
        usual.silence * 4,
        usual.at_login * 4,
    )
