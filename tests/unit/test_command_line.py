"""The command line itself: names that are nearly right, and choices as they are documented."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import samples

from kvm_action import result_file
from kvm_action.cli import main
from kvm_action.errors import ExitCode


def test_a_command_that_is_nearly_right_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rum", "plan.yml"]) == ExitCode.USAGE
    assert "Did you mean 'run'?" in capsys.readouterr().err


def test_a_command_that_is_like_none_is_still_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == ExitCode.USAGE
    assert "No such command 'frobnicate'" in capsys.readouterr().err


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_firmware_of_an_image_is_written_as_in_a_plan(
    firmware: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    words = ["image", "import", str(tmp_path / "none.qcow2"), "--name", "a", "--sha256", "0" * 64]
    assert main([*words, "--firmware", firmware]) == ExitCode.INFRASTRUCTURE
    assert "there is no image file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [(), ("plan",), ("image",), ("vm",), ("snapshot",), ("template",), ("history",), ("site",)]
)
def test_the_list_of_commands_is_whole_on_a_narrow_terminal(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    main([*words, "--help"])
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert listed.strip()
    assert "..." not in listed


def test_a_terminal_that_lacks_a_sign_gets_a_question_mark(tmp_path: Path) -> None:
    result_file.write(samples.passed_run(), tmp_path / "result.json")
    line = [sys.executable, "-m", "kvm_action", "results", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(line, check=False, env=environment, capture_output=True)
    assert (ended.returncode, b"?" in ended.stdout) == (0, True), ended.stderr


def test_the_folder_of_another_bench_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.yml").write_text("provision: {run: 'true'}\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/bench.json").write_text("hours of work")
    assert main(["bench", str(tmp_path / "plan.yml"), "--out", str(tmp_path / "b")]) == ExitCode.USAGE
    assert "another bench" in capsys.readouterr().err
    assert (tmp_path / "b/bench.json").read_text() == "hours of work"


def test_an_api_without_a_scheme_is_a_wrong_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result_file.write(samples.passed_run(), tmp_path / "result.json")
    words = ["publish", str(tmp_path / "result.json"), "--repository", "a/b", "--sha", "0" * 40]
    monkeypatch.setenv("GITHUB_TOKEN", "none")
    assert main([*words, "--api-url", "github.example.com/api/v3"]) == ExitCode.USAGE
    assert "https://HOST/api/v3" in capsys.readouterr().err
