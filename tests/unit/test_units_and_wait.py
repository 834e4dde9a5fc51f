"""Sizes, durations, deadlines."""

import subprocess
import sys
from datetime import timedelta
from threading import Event

import pytest

from kvm_action.units import format_duration, format_seconds, format_size, parse_duration, parse_size
from kvm_action.wait import Deadline, unless_done_in, until


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("4GiB", 4 << 30), ("512M", 512 << 20), ("1.5 GB", 3 << 29), ("10 b", 10), ("2tib", 2 << 40)],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "4 Gibs", "-1", "1e3", "4GiB4"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


def test_a_size_of_400_digits_is_none() -> None:
    with pytest.raises(ValueError, match="larger than any size"):
        parse_size("9" * 400)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), (" 1s ", 1)]
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "m",
        "ten minutes",
        "1h 30",
        "-5m",
        "1d",
        "1w",
        "1y",
        "1mm",
        "250ms",
        "1ns",
        "0",
        "999999999h" * 99,
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0h", "0.5s", "0.000001h"])
def test_a_limit_that_would_be_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="shorter than a second"):
        parse_duration(text)


def test_sizes_and_times_are_told_shortly() -> None:
    assert [format_size(n) for n in (0, 999, 1536, 580 << 20, 3 << 29)] == [
        "0 B", "999 B", "1.5 KiB", "580 MiB", "1.5 GiB",
    ]  # fmt: skip
    assert [format_seconds(s) for s in (0.04, 12.34, 245, 3720)] == [
        "0.04 s",
        "12.3 s",
        "4 min 05 s",
        "1 h 02 min",
    ]
    assert format_duration(timedelta(minutes=30)) == "30m"


def test_waiting_ends_at_the_deadline_and_looks_once_more_at_the_very_end() -> None:
    now, looks = [0.0], []

    def look() -> str | None:
        looks.append(now[0])
        now[0] += 1
        return None

    assert until(look, Deadline(timedelta(seconds=3), lambda: now[0]), every=0.001) is None
    assert looks[-1] >= 3


def test_a_wake_up_is_answered_at_once() -> None:
    woken = Event()
    woken.set()
    looks = iter([None, "found"])
    assert until(lambda: next(looks), Deadline(timedelta(seconds=20)), every=20, woken_by=woken) == "found"


def test_looks_become_rarer_the_longer_it_takes_and_the_end_is_noticed_in_time() -> None:
    now, looks = [0.0], []

    class Passing(Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0
            return False

    def look() -> bool:
        looks.append(now[0])
        return now[0] >= 50

    deadline = Deadline(timedelta(seconds=100), lambda: now[0])
    assert until(look, deadline, every=0.02, woken_by=Passing(), lateness=0.1)
    assert looks[1:4] == pytest.approx([0.02, 0.04, 0.06])
    assert 50 <= looks[-1] <= 55
    assert len(looks) < 100


def test_a_nested_deadline_never_outlasts_its_parent() -> None:
    parent = Deadline(timedelta(seconds=5), lambda: 0.0)
    assert parent.at_most(timedelta(seconds=60)).left == 5
    assert parent.at_most(timedelta(seconds=2)).left == 2


def test_what_takes_too_long_is_told_and_what_is_done_is_not() -> None:
    late, in_time = Event(), Event()
    with unless_done_in(0.01, late.set):
        assert late.wait(20)
    with unless_done_in(0.2, in_time.set):
        pass
    assert not in_time.wait(0.5)


STRUCK = """
import threading
from kvm_action.wait import unless_done_in
start = threading.Thread.start
def struck(thread):
    start(thread)
    raise KeyboardInterrupt
threading.Thread.start = struck
with unless_done_in(600, print):
    pass
"""


def test_a_signal_while_the_thread_starts_does_not_keep_the_process_from_ending() -> None:
    ended = subprocess.run([sys.executable, "-c", STRUCK], timeout=60, check=False, capture_output=True)
    assert b"KeyboardInterrupt" in ended.stderr
