"""Programs that are run to their end, with what they leave running."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action import proc
from kvm_action.errors import HostError
from kvm_action.leases import started
from kvm_action.wait import Deadline, until

SOON = timedelta(seconds=30)


def test_a_child_that_holds_the_output_open_is_killed_and_does_not_hold_us() -> None:
    began = time.monotonic()
    ended = proc.run(["sh", "-c", "sleep 60 & echo $!; exit 3"], timeout=SOON)
    assert (ended.status, time.monotonic() - began < 15) == (3, True)
    assert until(lambda: started(int(ended.stdout)) == -1, Deadline(SOON))


def test_a_program_over_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="took longer than 1 s"):
        proc.run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/child; wait"], timeout=timedelta(seconds=1))
    child = int((tmp_path / "child").read_text())
    assert until(lambda: started(child) == -1, Deadline(SOON))


def test_what_goes_in_comes_out_whole_however_long_it_takes() -> None:
    text = "x" * (1 << 20)
    assert proc.run(["sh", "-c", "sleep 2.5; cat"], stdin=text, timeout=SOON).stdout == text
