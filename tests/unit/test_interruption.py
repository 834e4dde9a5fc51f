"""Signals become one exception; a call that blocks does not keep the process alive."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

from kvm_action.errors import ExitCode, InterruptedRunError, RunLimitError
from kvm_action.interruption import interruptible, time_limit


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.SIGINT), (signal.SIGTERM, ExitCode.SIGTERM)]
)
def test_a_signal_becomes_an_error_with_its_exit_code(number: signal.Signals, code: ExitCode) -> None:
    with pytest.raises(InterruptedRunError, match=number.name) as raised, interruptible():
        os.kill(os.getpid(), number)
        threading.Event().wait(5)
    assert raised.value.exit_code == code


def test_a_second_signal_does_not_disturb_the_tear_down() -> None:
    torn_down = False
    with interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(5)
        except InterruptedRunError:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            torn_down = True
    assert torn_down


def test_the_handlers_of_others_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_tear_down_that_hangs_is_ended_the_hard_way() -> None:
    program = (
        "from datetime import timedelta; from threading import Event\n"
        "from kvm_action.interruption import interruptible\n"
        "with interruptible(timedelta(seconds=0.5)):\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        Event().wait(60)\n"
        "    finally:\n"
        "        Event().wait(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == ExitCode.SIGTERM
    assert time.monotonic() - began < 20


def test_a_time_limit_strikes_and_is_gone_afterwards() -> None:
    with pytest.raises(RunLimitError, match="limit of"), time_limit(timedelta(milliseconds=50)):
        threading.Event().wait(10)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_time_limit_of_nothing_strikes_at_once() -> None:
    with pytest.raises(RunLimitError), time_limit(timedelta(0)):
        threading.Event().wait(10)
        pytest.fail("the limit was no limit")


def test_a_time_limit_of_centuries_is_one() -> None:
    with time_limit(timedelta(days=500_000)):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0


def test_a_clean_up_is_not_disturbed_by_a_signal_and_what_follows_it_is_not_either() -> None:
    finished = False
    with interruptible() as interruption:
        with interruption.held():
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(0.1)
            finished = True
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(0.1)
    assert finished


def test_a_time_limit_that_struck_does_not_blind_the_watch_over_signals() -> None:
    program = (
        "from datetime import timedelta; from threading import Event\n"
        "from kvm_action.errors import RunLimitError\n"
        "from kvm_action.interruption import interruptible, time_limit\n"
        "with interruptible(timedelta(seconds=0.3)), time_limit(timedelta(milliseconds=50)):\n"
        "    try: Event().wait(60)\n"
        "    except RunLimitError: pass\n"
        "    Event().wait(0.6)\n"  # longer than the grace: the limit is no signal of ours
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        Event().wait(60)\n"
        "    finally:\n"
        "        Event().wait(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == ExitCode.SIGTERM
        assert process.stderr.read() == b""


def test_a_signal_that_a_library_swallowed_is_still_known() -> None:
    with interruptible() as interruption:
        assert interruption.error is None
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        assert interruption.error is not None
        assert interruption.error.exit_code == ExitCode.SIGTERM
    with time_limit(timedelta(milliseconds=50)) as limit:
        with contextlib.suppress(Exception):
            threading.Event().wait(5)
        assert limit.error is not None
