"""`kvm-e2e action` and `kvm-e2e publish` as processes, against a GitHub on loopback. No machine is started."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import samples
from github_api import GitHub, refusing, serve
from pytest_httpserver import HTTPServer
from unit.test_workflow import obeyed, parsed

from kvm_action import result_file
from kvm_action.history.entry import document_of

TOKEN = "ghs_verySecretToken0123456789"
PLAN = """
name: vps
provision: {run: "true", env: {API_TOKEN: hunter2secret}}
checks: [{file: /etc/hostname}]
"""


@dataclass
class Job:
    """A job on a runner; ``environ`` is what GitHub sets."""

    folder: Path
    environ: dict[str, str]

    def run(self, *words: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        texts = {name.replace("_", "-"): value for name, value in inputs.items()}
        return subprocess.run(
            [sys.executable, "-m", "kvm_action", *(words or ("action",))],
            cwd=self.folder,
            env={**self.environ, "KVM_E2E_INPUTS": json.dumps({"github-token": TOKEN, **texts})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        return parsed((self.folder / "output").read_bytes().decode())

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    def holds(self, secret: str) -> list[Path]:
        """The files that this job left and that hold ``secret``."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "plan.yml"]
        return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.fixture
def github(httpserver: HTTPServer) -> Iterator[GitHub]:
    github = serve(httpserver)
    yield github
    assert github.invalid == []


@pytest.fixture
def job(tmp_path: Path, httpserver: HTTPServer) -> Job:
    (tmp_path / "plan.yml").write_text(PLAN)
    environ = {
        **os.environ,
        "KVM_E2E_HOME": str(tmp_path / "home"),
        "GITHUB_API_URL": httpserver.url_for("").rstrip("/"),
        "GITHUB_REPOSITORY": "org/app",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_RUN_ID": "7",
        "GITHUB_JOB": "kvm",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "RUNNER_TEMP": str(tmp_path / "tmp"),
    }
    return Job(tmp_path, environ)


def test_a_run_that_fails_is_told_in_every_way(job: Job, github: GitHub) -> None:
    ended = job.run(image="missing", accel="tcg", history="branch")
    assert ended.returncode == 3, ended.stderr
    assert job.outputs["outcome"] == "error"
    assert job.outputs["failure-class"] == "image"
    assert job.outputs["check-url"] == "https://github.com/org/app/runs/1"
    assert "there is no image missing" in job.summary.lower()
    (run,) = github.check_runs
    assert (run["name"], run["conclusion"]) == ("kvm-e2e: vps on missing", "failure")
    assert run["details_url"] == "https://github.com/org/app/actions/runs/7"
    (name,) = github.files["kvm-e2e-history"]
    run_id = job.outputs["run-id"]
    assert name == f"runs/{run_id[:4]}/{run_id[4:6]}/{run_id}.json"
    kept = document_of(github.files["kvm-e2e-history"][name])
    assert kept["result"]["outcome"] == "error"
    assert kept["origin"]["run_url"] == "https://github.com/org/app/actions/runs/7/attempts/1"


def test_two_steps_of_one_job_with_the_same_plan_have_a_check_run_each(job: Job, github: GitHub) -> None:
    for _ in range(2):
        job.run(image="missing", accel="tcg")
    assert [run["conclusion"] for run in github.check_runs] == ["failure", "failure"]
    assert len({run["external_id"] for run in github.check_runs}) == 2


def test_a_token_that_may_only_read_changes_no_outcome(job: Job, github: GitHub) -> None:
    github.fail("POST", "/check-runs", refusing(403, "Resource not accessible by integration"))
    ended = job.run(image="missing", accel="tcg")
    assert ended.returncode == 3
    assert job.outputs["outcome"] == "error"
    assert "check-url" not in job.outputs
    (line,) = [line for line in ended.stdout.splitlines() if "was refused" in line]
    assert line.startswith("note: ")
    assert "summary has the report" in line
    assert "missing" in job.summary


def test_a_wrong_plan_is_told_in_every_way(job: Job, github: GitHub) -> None:
    (job.folder / "plan.yml").write_text(PLAN.replace("run:", "rum:"))
    ended = job.run()
    assert ended.returncode == 2
    assert job.outputs == {
        "outcome": "error",
        "failure-class": "plan",
        "check-url": "https://github.com/org/app/runs/1",
    }
    (error, *_) = [line for line in ended.stdout.splitlines() if line.startswith("::error ")]
    assert "file=plan.yml,line=3" in error
    (run,) = github.check_runs
    assert (run["name"], run["conclusion"]) == ("kvm-e2e: plan", "failure")
    assert run["annotations"][0]["path"] == "plan.yml"
    assert run["annotations"][0]["start_line"] == 3


def test_no_secret_is_anywhere(job: Job, github: GitHub) -> None:
    ended = job.run(image="missing", set="provision.env.OTHER=top\nuser.password=swordfish9")
    lines = (ended.stdout + ended.stderr).splitlines()
    assert "::add-mask::hunter2secret" in lines
    assert "::add-mask::swordfish9" in lines
    said = "\n".join(line for line in lines if not line.startswith("::add-mask::"))
    for secret in (TOKEN, "hunter2secret", "swordfish9"):
        assert secret not in said
        assert not job.holds(secret)
    assert TOKEN not in "".join(lines)


def test_without_a_token_or_a_wish_there_is_no_check_run(job: Job, github: GitHub) -> None:
    job.run(image="missing", check_run="false")
    job.run(image="missing", github_token="")
    assert github.requests == []


def test_a_github_that_is_not_there_changes_no_outcome_and_costs_little(job: Job) -> None:
    job.environ["GITHUB_API_URL"] = "http://127.0.0.1:9"
    began = time.monotonic()
    ended = job.run(image="missing", check_run="true")
    assert ended.returncode == 3
    assert time.monotonic() - began < 20
    assert "::warning title=kvm-e2e::making the check run" in ended.stdout
    assert "did not answer" in ended.stdout


def test_an_output_folder_that_cannot_be_is_told_as_text(job: Job, github: GitHub) -> None:
    (job.folder / "file").write_text("")
    ended = job.run(image="missing", out="file/::error::x")
    assert ended.returncode == 3
    assert "cannot make the output folder" in ended.stdout
    assert [line for line in obeyed(ended.stdout) if not line.startswith(("::error title=", "::add-mask::"))] == []
    assert github.check_runs[0]["conclusion"] == "failure"


def test_publishing_a_result_twice_makes_one_check_run(job: Job, github: GitHub) -> None:
    result_file.write(samples.failed_check_run(), job.folder / "result.json")
    job.environ["GITHUB_TOKEN"] = TOKEN
    for _ in range(2):
        ended = job.run("publish", "result.json")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == "https://github.com/org/app/runs/1\n"
    assert len(github.check_runs) == 1


def test_publishing_without_a_token_says_how_to_give_one(job: Job) -> None:
    result_file.write(samples.passed_run(), job.folder / "result.json")
    job.environ.pop("GITHUB_TOKEN", None)
    ended = job.run("publish", "result.json")
    assert ended.returncode == 2
    assert "GITHUB_TOKEN" in ended.stderr


def test_results_of_a_matrix_are_one_table(job: Job) -> None:
    for name, result in {"a": samples.passed_run(), "b": samples.failed_check_run()}.items():
        (job.folder / name).mkdir()
        result_file.write(result, job.folder / name / "result.json")
    ended = job.run("results", ".", "--check")
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == "## 1 of 2 runs passed"
    assert "failed in validate" in lines[4]
    assert "passed" in lines[5]


def test_a_matrix_of_plans_and_images_is_one_line_of_json(job: Job) -> None:
    ended = job.run("plan", "matrix", "plan.yml", "--image=debian-12, debian-13")
    rows = json.loads(ended.stdout)["include"]
    assert [row["image"] for row in rows] == ["debian-12", "debian-13"]
    assert {row["plan"] for row in rows} == {"plan.yml"}
    assert ended.stdout.count("\n") == 1
