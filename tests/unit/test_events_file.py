"""events.jsonl survives whatever becomes of the tool."""

import json
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from samples import HOSTILE, failed_check_run

from kvm_action.errors import HostError
from kvm_action.events import OutputLine, RunFinished, StepStarted, Stream
from kvm_action.events_file import LINE_LIMIT, events_file, line_of
from kvm_action.results import StepName

STARTED = StepStarted(name=StepName.SSH, at=datetime(2026, 3, 14, 12, 2, 31, tzinfo=UTC))


def test_an_event_can_be_read_while_the_run_still_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with events_file(path) as sink:
        sink(STARTED)
        written = path.read_text()
    assert json.loads(written) == {"event": "StepStarted", "name": "ssh", "at": "2026-03-14T12:02:31Z"}


def test_a_second_run_into_the_same_folder_keeps_the_first_ones_events(tmp_path: Path) -> None:
    for _ in range(2):
        with events_file(tmp_path / "events.jsonl") as sink:
            sink(STARTED)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2


def test_two_runs_never_write_into_one_folder_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with events_file(path) as sink:
        with pytest.raises(HostError, match="another run is writing"), events_file(path):
            pass
        sink(STARTED)
    with events_file(path):
        pass


@pytest.mark.parametrize(
    "text",
    [HOSTILE, "x" * 1_000_000, "line\nbreak\u2028\x85", "\0" * 1_000_000, "\U0001f600" * 9000],
    ids=["hostile", "long", "breaks", "zeros", "faces"],
)
def test_one_event_is_one_bounded_line_of_ascii(text: str) -> None:
    line = line_of(OutputLine(step=StepName.PROVISION, stream=Stream.STDOUT, text=text))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert len(line) < LINE_LIMIT * 2 + 200
    assert json.loads(line)["text"][:4] == text[:4]


def test_the_last_event_holds_the_whole_result() -> None:
    line = json.loads(line_of(RunFinished(result=failed_check_run(), out="out")))
    assert line["result"]["failure"]["step"] == "validate"


def test_a_folder_that_is_not_there_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, events_file(tmp_path / "gone" / "events.jsonl"):
        pass
    assert caught.value.hint


def test_errors_of_the_run_itself_are_not_taken_for_ours(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), events_file(tmp_path / "events.jsonl"):
        raise ConnectionResetError


def test_a_disk_that_fills_up_breaks_no_run_and_is_told_once(tmp_path: Path) -> None:
    path, told = tmp_path / "events.jsonl", list[str]()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with events_file(path, told.append) as sink:
            sink(STARTED)
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, before[1]))
            for _ in range(3):
                sink(STARTED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert told == [f"{path} is not written any more: File too large"]
    assert len(path.read_text().splitlines()) == 1
