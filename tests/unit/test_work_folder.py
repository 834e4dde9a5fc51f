"""Work folders: gone with their maker, swept after a killed one, left alone when they are somebody's."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kvm_action.leases import Owner
from kvm_action.work_folder import remove_abandoned, remove_abandoned_scratch, scratch, work_folder

_LIVES = """
import sys, time
sys.path[:] = {path!r}
from kvm_action.work_folder import scratch
with scratch("rdp") as folder:
    (folder / "frame").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_folder_is_ours_alone_and_goes_at_the_end(temporary: Path) -> None:
    with pytest.raises(RuntimeError), scratch("probe") as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("")
        assert remove_abandoned_scratch() == []
        raise RuntimeError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_once_it_is_dead(temporary: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    line = [sys.executable, "-c", _LIVES.format(path=sys.path)]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            folder = Path(running.stdout.readline().strip())
            assert remove_abandoned_scratch() == []
        finally:
            running.send_signal(signal.SIGKILL)
    assert remove_abandoned_scratch() == [folder]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("mark", ["", "{", "[]", "{}", '{"pid": 1}', '{"pid": 1, "what": 0}'])
def test_a_folder_that_does_not_say_whose_it_is_stays(temporary: Path, mark: str) -> None:
    foreign = temporary / "kvm-e2e-something"
    foreign.mkdir()
    (foreign / "owner.json").write_text(mark)
    assert remove_abandoned_scratch() == []
    assert foreign.exists()


def test_a_link_in_a_folder_that_all_may_write_leads_nowhere(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir()
    (precious / "owner.json").write_text('{"pid": 999999999, "started": 0, "boot_id": ""}')
    (temporary / "kvm-e2e-link").symlink_to(precious)
    assert remove_abandoned_scratch() == []
    assert (precious / "owner.json").exists()


def test_the_work_of_a_pid_that_somebody_else_has_by_now_is_abandoned(temporary: Path) -> None:
    with work_folder(temporary / "work", "image") as folder:
        (folder / "owner.json").write_text(json.dumps(asdict(replace(Owner.this_process(), started=1))))
        assert remove_abandoned(temporary / "work") == [folder]
    assert remove_abandoned(temporary / "none") == []
