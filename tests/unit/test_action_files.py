"""action.yml, what reads its inputs, what writes its outputs, and the pages about it say the same."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from kvm_action.action import inputs, outputs
from kvm_action.action.inputs import read_inputs

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "site/action.md"
ACTION: dict[str, Any] = YAML(typ="safe", pure=True).load((REPOSITORY / "action.yml").read_text())
LOCKS = ("requirements-build.txt", "requirements.txt")


def input_row(name: str, about: dict[str, str]) -> str:
    default = about["default"]
    shown = "the job's" if "{{" in default else f"`{default}`" if default else ""
    return f"| `{name}` | {shown} | {about['description']} |"


def output_row(name: str, about: dict[str, str]) -> str:
    return f"| `{name}` | {about['description']} |"


def tables() -> tuple[list[str], list[str]]:
    return (
        [input_row(*item) for item in ACTION["inputs"].items()],
        [output_row(*item) for item in ACTION["outputs"].items()],
    )


def rows_of(page: str, kind: str) -> list[str]:
    """The rows below the head of the table."""
    start = page.index(f"| {kind} |")
    return page[start:].split("\n\n", maxsplit=1)[0].splitlines()[2:]


def test_action_yml_has_the_inputs_that_are_read_and_the_outputs_that_are_written() -> None:
    assert list(ACTION["inputs"]) == list(inputs.NAMES)
    assert list(ACTION["outputs"]) == list(outputs.NAMES)


def test_the_defaults_of_action_yml_are_those_of_the_reader() -> None:
    defaults = {name: about["default"] for name, about in ACTION["inputs"].items()}
    assert read_inputs({**defaults, "github-token": ""}) == read_inputs({})


def test_the_reference_has_every_input_and_output(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text()
    for kind, rows in zip(("input", "output"), tables(), strict=True):
        if request.config.getoption("--regenerate"):
            page = page.replace("\n".join(rows_of(page, kind)), "\n".join(rows))
            PAGE.write_text(page)
        assert rows_of(page, kind) == rows


@pytest.mark.parametrize("about", [*ACTION["inputs"].values(), *ACTION["outputs"].values()])
def test_each_is_described_in_one_sentence(about: dict[str, str]) -> None:
    text = about["description"]
    assert re.fullmatch(r"[A-Z][^\n]*\.", text)
    assert "|" not in text
    assert len(re.findall(r"\. [A-Z]", text)) == 0


@pytest.mark.parametrize("page", ["README.md", "site/action.md", "site/runner.md"])
def test_the_examples_use_inputs_that_exist(page: str) -> None:
    found = list(calls((REPOSITORY / page).read_text()))
    assert found or page == "site/runner.md"
    for call in found:
        assert call.get("with", {}).keys() <= ACTION["inputs"].keys()


def calls(page: str) -> Iterator[dict[str, Any]]:
    """Every step that uses the action in a page's YAML."""
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        yield from _steps(YAML(typ="safe", pure=True).load(block))


def _steps(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if str(document.get("uses", "")).startswith("org/kvm-e2e@"):
            yield document
        for value in document.values():
            yield from _steps(value)
    elif isinstance(document, list):
        for value in document:
            yield from _steps(value)


def test_what_the_action_installs_is_locked_and_up_to_date() -> None:
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = "".join((REPOSITORY / "tools" / name).read_text() for name in LOCKS)
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", locked, re.MULTILINE))
    for text in wanted:
        need = Requirement(text)
        pin = pins.get(canonicalize_name(need.name))
        assert pin, f"run `make requirements`: {need.name} is not locked"
        assert pin in need.specifier, f"run `make requirements`: {text}"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes_and_no_address(name: str) -> None:
    text = (REPOSITORY / "tools" / name).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block


def test_a_command_that_fails_leaves_an_output_that_can_be_read_and_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/start_action.py").write_text("print('half'); raise SystemExit(2)")
    command = YAML(typ="safe", pure=True).load((REPOSITORY / "command/action.yml").read_text())
    output = tmp_path / "output"
    environment = {**os.environ, "GITHUB_ACTION_PATH": str(tmp_path / "command"), "GITHUB_OUTPUT": str(output)}
    (tmp_path / "command").mkdir()
    line = ["bash", "-e", "-o", "pipefail", "-c", command["runs"]["steps"][0]["run"]]
    assert subprocess.run(line, check=False, env=environment).returncode == 2
    name, *lines, end = output.read_text().splitlines()
    assert name == f"stdout<<{end}"
    assert lines == ["half", ""]
