"""Where the tool's own files live."""

from pathlib import Path

import pytest

from kvm_action.cli import main
from kvm_action.errors import ExitCode, HostError
from kvm_action.paths import Home


def test_one_variable_moves_everything_and_need_not_be_there_yet(tmp_path: Path) -> None:
    home = Home.from_environ({"KVM_E2E_HOME": str(tmp_path / "a/b"), "XDG_DATA_HOME": "/elsewhere"})
    assert home.images == tmp_path / "a/b/images"
    assert Home.from_environ({"XDG_DATA_HOME": str(tmp_path)}).root == tmp_path / "kvm-e2e"


@pytest.mark.parametrize("below", ["", "/images", "/a/b"])
def test_a_home_that_is_a_file_is_said_to_be_one(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HostError, match="no folder") as raised:
        Home.from_environ({"KVM_E2E_HOME": f"{file}{below}"})
    assert raised.value.message == f"KVM_E2E_HOME is {file}{below}, and {file} is no folder"


def test_a_home_that_is_a_file_is_no_bug_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KVM_E2E_HOME", str(tmp_path / "file"))
    assert main(["image", "list"]) == ExitCode.INFRASTRUCTURE
    assert "KVM_E2E_HOME" in capsys.readouterr().err
