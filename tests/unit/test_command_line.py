"""The command line itself: names that are nearly right, and choices as they are documented."""

from pathlib import Path

import pytest

from kvm_action.cli import COMMANDS, main
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


@pytest.mark.parametrize("group", COMMANDS)
def test_the_list_of_commands_is_whole_on_a_narrow_terminal(
    group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    main([group, "--help"])
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]
