"""What tells two runs apart: the digest of the script and its files, and the list of the guest's packages."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kvm_action.errors import GuestConnectionError, InterruptedRunError
from kvm_action.guest import GuestOutput
from kvm_action.lifecycle.context import RunContext
from kvm_action.lifecycle.provenance import PACKAGES, note_packages, script_digest
from kvm_action.output import Mask
from kvm_action.plan.load import load_plan

PLAN = """
provision: {run: ./install.sh, env: {TOKEN: "%s"}}
files: [{from: ., to: /opt, exclude: ["*.log"]}]
"""


def digest(folder: Path, secret: str = "one") -> str:
    (folder / "plan.yml").write_text(PLAN % secret)
    return script_digest(load_plan(folder / "plan.yml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "install.sh").write_text("echo hello\n")
    (tmp_path / "plan.yml").write_text(PLAN % "one")
    return tmp_path


def change_the_script(folder: Path) -> None:
    (folder / "install.sh").write_text("echo bye\n")


def make_it_executable(folder: Path) -> None:
    (folder / "install.sh").chmod(0o755)


def add_a_file(folder: Path) -> None:
    (folder / "more").write_text("")


def add_a_link(folder: Path) -> None:
    (folder / "link").symlink_to("install.sh")


@pytest.mark.parametrize("act", [change_the_script, make_it_executable, add_a_file, add_a_link])
def test_a_change_of_what_is_copied_shows_in_the_digest(act: Callable[[Path], None], folder: Path) -> None:
    before = digest(folder)
    act(folder)
    assert digest(folder) != before


def test_times_and_what_is_left_out_do_not_show_in_the_digest(folder: Path) -> None:
    before = digest(folder)
    os.utime(folder / "install.sh", (1, 1))
    (folder / "noise.log").write_text("x")
    assert digest(folder) == before


def test_a_secret_does_not_show_in_the_digest(folder: Path) -> None:
    (folder / "src").mkdir()
    plan = PLAN.replace("from: .", "from: src")
    (folder / "plan.yml").write_text(plan % "one")
    before = script_digest(load_plan(folder / "plan.yml"))
    (folder / "plan.yml").write_text(plan % "two")
    assert script_digest(load_plan(folder / "plan.yml")) == before


class Answering:
    """A guest that answers, or breaks."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer

    def run(self, command: str, **options: object) -> GuestOutput:
        if isinstance(self.answer, Exception):
            raise self.answer
        return GuestOutput(command, 0, self.answer, b"", signal="")


def context(folder: Path, answer: bytes | Exception, told: list[object]) -> RunContext:
    loaded = load_plan(folder / "plan.yml")
    made = RunContext(id="x", loaded=loaded, machine=None, sink=told.append, out=folder / "out", mask=Mask([]))  # type: ignore[arg-type]
    made.out.mkdir()
    made.guest = Answering(answer)  # type: ignore[assignment]
    return made


def test_the_packages_are_kept_beside_the_result_and_asked_for_once(folder: Path) -> None:
    told: list[object] = []
    made = context(folder, b"apt 2.6.1\nzlib1g 1.2\n", told)
    note_packages(made)
    made.guest = Answering(b"other 1\n")  # type: ignore[assignment]
    note_packages(made)
    assert (made.out / PACKAGES).read_text() == "apt 2.6.1\nzlib1g 1.2\n"


def test_a_guest_without_packages_leaves_no_list_and_a_broken_one_a_note(folder: Path) -> None:
    told: list[object] = []
    made = context(folder, b"", told)
    note_packages(made)
    made.guest = Answering(GuestConnectionError("it broke"))  # type: ignore[assignment]
    note_packages(made)
    assert not (made.out / PACKAGES).exists()
    assert len(told) == 1


def test_an_interruption_while_listing_ends_the_run(folder: Path) -> None:
    made = context(folder, InterruptedRunError("stop"), [])
    with pytest.raises(InterruptedRunError):
        note_packages(made)
