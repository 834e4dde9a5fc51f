"""Programs that are run to their end, with what they leave running."""

import time
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action import proc
from kvm_action.backends.guest_shell import over_openssh
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


def test_of_a_stranger_who_prints_without_end_only_so_much_is_taken() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(HostError, match=r"printed more than 8\.0 MiB"):
            proc.run_bounded(["sh", "-c", "cat /dev/zero; :"], most=8 << 20, timeout=SOON)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_bounded_program_gives_both_outputs_and_its_status_and_gets_no_input() -> None:
    ended = proc.run_bounded(["sh", "-c", "cat; echo out; echo bad >&2; exit 3"], most=8, timeout=SOON)
    assert (ended.status, ended.stdout, ended.stderr) == (3, "out\n", "bad\n")


@pytest.mark.parametrize(
    "script", ["sleep 60", "exec >/dev/null 2>&1; sleep 60", "while :; do echo; sleep .1; done"]
)
def test_a_bounded_program_over_its_time_is_killed(script: str) -> None:
    with pytest.raises(HostError, match="took longer than 1 s"):
        proc.run_bounded(["sh", "-c", script], most=1 << 20, timeout=timedelta(seconds=1))


def test_an_answer_of_a_kept_machine_without_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert over_openssh(tmp_path / "config", "true", SOON) is None
