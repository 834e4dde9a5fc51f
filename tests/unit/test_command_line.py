"""The command line itself: names that are nearly right, and choices as they are documented."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import samples

from kvm_action import result_file
from kvm_action.action.artifact import artifact_name
from kvm_action.cli import main, root
from kvm_action.cli.crash import crash_report
from kvm_action.cli.run import require_only_a_runs
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


def test_an_image_that_only_its_distribution_makes_is_not_one_for_the_installer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    assert main(["image", "build", "debian-12-cloud", "--method", "installer"]) == ExitCode.INFRASTRUCTURE
    assert "installer makes debian-13 and debian-12 only" in capsys.readouterr().err


def test_a_folder_is_no_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    words = ["image", "import", str(tmp_path), "--name", "a", "--sha256", "0" * 64]
    assert main(words) == ExitCode.INFRASTRUCTURE
    assert "is a folder" in capsys.readouterr().err


def test_the_help_of_an_import_says_that_it_wants_a_checksum(capsys: pytest.CaptureFixture[str]) -> None:
    main(["image", "import", "--help"])
    assert "One of --sha256 and --checksums is required" in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["0s", "0", "1ns", "1d", "1w", "1y", "1mm"])
def test_a_limit_that_would_be_none_or_that_no_plan_takes_is_refused(
    limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "plan.yml", "--timeout", limit]) == ExitCode.USAGE
    assert "is not a duration of a second or more" in capsys.readouterr().err


def test_a_crash_report_has_no_words_but_the_names_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    root.get_command(click.Context(root), "run")
    root.get_command(click.Context(root), "vm")

    def told(*words: str) -> str:
        return crash_report(RuntimeError("oops"), ["kvm-e2e", *words])

    assert "hunter2" not in told("run", "--set=provision.env.TOKEN=hunter2")
    assert "hunter2" not in told("hunter2", "hunter2")
    assert "Command: `run`" in told("run", "plan.yml")
    assert "Command: `vm ssh`" in told("vm", "ssh", "last")
    assert "Command: ``" in told()


@pytest.mark.parametrize("words", [["vm", "destroy", "last", "--all"], ["template", "remove", "abc", "--all"]])
def test_a_name_beside_all_is_a_contradiction(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path))
    assert main(words) == ExitCode.USAGE
    assert "goes with it" in capsys.readouterr().err


def test_a_damaged_result_is_named_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/result.json").write_text("{")
    result_file.write(samples.passed_run(), tmp_path / "b/result.json")
    assert main(["results", str(tmp_path)]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert f"{tmp_path}/a/result.json" in told.err
    assert "| vps |" in told.out


def test_a_folder_with_other_files_is_not_taken_for_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.yml").write_text("provision: {run: 'true'}\n")
    (tmp_path / "id_ed25519").touch()
    assert main(["run", str(tmp_path / "plan.yml"), "--out", str(tmp_path)]) == ExitCode.USAGE
    assert (
        "has other files in it, which would be taken for the run's: id_ed25519, plan.yml"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "events.jsonl").exists()


@pytest.mark.parametrize("names", [[], ["events.jsonl", "console.log", "guest", ".result.json.4711", "report.md"]])
def test_a_folder_that_a_run_began_in_is_one_for_results(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    require_only_a_runs(tmp_path)


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


def test_of_a_job_that_was_run_again_the_newest_attempt_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("test", "1")
    red = artifact_name("hello", *parts, "1", "20261127-000000-aaaaaa")
    green = artifact_name("hello", *parts, "2", "20261127-000000-bbbbbb")
    other = artifact_name("web", *parts, "1", "20261127-000000-cccccc")
    runs = {red: samples.failed_check_run(), green: samples.passed_run(), other: samples.passed_run()}
    for name, run in runs.items():
        (tmp_path / name).mkdir()
        result_file.write(run, tmp_path / name / "result.json")
    assert main(["results", str(tmp_path), "--check"]) == ExitCode.PASSED
    assert "## 2 of 2 runs passed" in capsys.readouterr().out
