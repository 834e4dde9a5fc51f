"""What becomes of a run of mmdebstrap that goes wrong; a stand-in plays it, as the real one takes minutes."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from kvm_action.errors import ImageError
from kvm_action.images import mmdebstrap
from kvm_action.images.guest_files import Disk
from kvm_action.images.mmdebstrap import Job, run_job
from kvm_action.images.model import Firmware
from kvm_action.images.tools import SEARCH_PATH

HANGS = """\
#!/bin/sh
# As the real one: asked to end, it says that it waits, and waits for its child.
trap 'echo "I: main() received signal TERM: waiting for setup..." >&2' TERM
echo "I: running the script..." >&2
echo "waiting for the database" >&2
sleep 300 &
echo $! >"$CHILD"
while kill -0 $! 2>/dev/null; do wait $!; done
echo "E: mmdebstrap failed to run" >&2
exit 1
"""
NO_UPDATES = """\
#!/bin/sh
echo "E: The repository 'https://a.example/debian bookworm-updates Release' does not have a Release file." >&2
exit 1
"""


def job(folder: Path) -> Job:
    disk_file = folder / "disk.raw"
    disk_file.touch()
    return Job(
        suite="bookworm",
        packages=("apt",),
        sources=(),
        guest_tar=folder / "guest.tar",
        disk_file=disk_file,
        disk=Disk(firmware=Firmware.BIOS, bytes=1 << 30, file_system=uuid4()),
        report=folder / "report",
        log=folder / "log",
    )


def stand_in(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "programs"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(text)
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setattr(mmdebstrap, "SEARCH_PATH", f"{programs}:{SEARCH_PATH}")
    monkeypatch.setenv("CHILD", str(folder / "child"))


def test_one_that_takes_too_long_is_ended_with_what_it_waits_for_and_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(HANGS, tmp_path, monkeypatch)
    with pytest.raises(ImageError, match="not made within 1s; it was running your script") as told:
        run_job(job(tmp_path), lambda _told: None, timedelta(seconds=1))
    assert str(told.value).endswith("the last word was: waiting for the database")
    assert str(tmp_path / "log") in told.value.hint
    assert "waiting for the database" in (tmp_path / "log").read_text()
    assert not Path("/proc", (tmp_path / "child").read_text().strip()).exists()


def test_the_suite_that_a_mirror_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(NO_UPDATES, tmp_path, monkeypatch)
    with pytest.raises(ImageError, match="the mirror does not have bookworm-updates: "):
        run_job(job(tmp_path), lambda _told: None, timedelta(minutes=1))
