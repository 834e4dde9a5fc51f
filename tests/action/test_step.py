"""The step that runs the plan: how fast it is there, that two jobs do not trample each other, and how it ends."""

import json
import logging
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest
from e2e.tooling import events, has_started, machines_with, wait_for
from integration.github_api import serve
from pytest_httpserver import HTTPServer
from runner import Running, Step
from unit.test_workflow import obeyed, parsed

LOG = logging.getLogger(__name__)
IMAGE = "debian-12"
BOOT = 300
SLOW = """
name: slow
machine: {memory: 1GiB}
provision: {run: "echo begun; sleep 600"}
snapshots: []
"""


@pytest.fixture
def step(action: Path, home: Path, tmp_path: Path) -> Step:
    """A step whose environment has been made."""
    made = Step(action, tmp_path, home, {"accel": "tcg", "image": IMAGE})
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/plan.yml").write_text(SLOW)
    if not list(home.glob("environments/*/.complete")):
        assert finished(command(action, home, "--version")) == 0
    return made


def command(action: Path, home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["python3", "-I", action / "tools/start_action.py"],
        env={**os.environ, "KVM_E2E_HOME": str(home), "KVM_E2E_ARGUMENTS": "\n".join(words)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(job: subprocess.Popen[str]) -> int:
    job.communicate(timeout=300)
    return job.returncode


def outputs(running: Running) -> dict[str, str]:
    return parsed((running.folder / "output").read_bytes().decode())


# --- the environment


def test_two_jobs_at_once_make_one_environment(action: Path, tmp_path: Path) -> None:
    both = [command(action, tmp_path, "--version") for _ in range(2)]
    ended = [job.communicate(timeout=300) for job in both]
    assert [job.returncode for job in both] == [0, 0]
    assert all("kvm-e2e" in stdout for stdout, _ in ended)
    assert sum("::group::Prepare" in stderr for _, stderr in ended) == 1
    assert len(list(tmp_path.glob("environments/*/.complete"))) == 1


def test_a_job_that_was_killed_while_it_made_the_environment_spoils_nothing(action: Path, tmp_path: Path) -> None:
    job = command(action, tmp_path, "--version")
    wait_for(lambda: list(tmp_path.glob("environments/*/lib")), 60, "a half-made environment")
    job.kill()
    job.communicate()
    assert not list(tmp_path.glob("environments/*/.complete"))
    again = command(action, tmp_path, "--version")
    assert "kvm-e2e" in again.communicate(timeout=300)[0]


def test_a_second_job_starts_within_a_second(action: Path, home: Path, step: Step) -> None:
    def once() -> float:
        began = time.monotonic()
        assert finished(command(action, home, "--version")) == 0
        return time.monotonic() - began

    assert min(once() for _ in range(3)) < 1


def test_the_first_step_of_a_run_begins_within_a_second_and_a_half(step: Step, tmp_path: Path) -> None:
    step.inputs["image"] = "missing"

    def once() -> float:
        began = time.time()
        step.inputs["out"] = str(tmp_path / f"out-{began}")
        with step.start() as running:
            assert running.wait(60) == 3
        first = next(
            event
            for line in (Path(step.inputs["out"]) / "events.jsonl").read_text().splitlines()
            if (event := json.loads(line))["event"] == "StepStarted"
        )
        return datetime.fromisoformat(first["at"]).timestamp() - began

    overhead = min(once() for _ in range(3))
    LOG.info("action overhead, warm: %.2f s", overhead)
    assert overhead < 1.5


def test_an_old_python_is_told(action: Path, tmp_path: Path) -> None:
    old = "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    ended = subprocess.run(
        ["python3", "-c", old, action / "tools/start_action.py"],
        env={**os.environ, "KVM_E2E_HOME": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "::error title=kvm-e2e::the runner's python3 is 3.9, and kvm-e2e needs 3.11" in ended.stderr
    assert (tmp_path / "output").read_text() == "outcome=error\nfailure-class=host\n"


def test_a_package_that_cannot_be_had_is_told(action: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        ["python3", "-I", action / "tools/start_action.py"],
        env={
            **os.environ,
            "KVM_E2E_HOME": str(tmp_path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "PIP_RETRIES": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "::error title=kvm-e2e::could not make the Python environment: " in ended.stderr
    assert "python3-venv" in ended.stderr


# --- text of strangers


def test_names_of_folders_plans_and_branches_are_text(step: Step) -> None:
    odd = "::error::a%0A$(id)`id`\x1b[31m]]>\u202e</script>"
    folder = step.folder / "workspace" / odd.replace("/", "")
    folder.mkdir()
    (folder / "plan.yml").write_text(f"name: x\nprovision: {{run: {json.dumps(odd)}}}\n")
    step.inputs |= {"working-directory": folder.name, "image": "missing", "check-name": odd}
    step.environment |= {"GITHUB_HEAD_REF": odd, "GITHUB_REF": f"refs/heads/{odd}", "GITHUB_JOB": odd}
    with step.start() as running:
        assert running.wait(60) == 3
    ours = ("::group::", "::endgroup::", "::error ", "::add-mask::")
    assert [line for line in obeyed(running.log) if not line.startswith(ours)] == []
    assert len([line for line in obeyed(running.log) if line.startswith("::error ")]) == 1
    assert "\x1b" not in running.log


# --- its end


def own_machines(running: Running) -> set[str]:
    """The machines of this run; others on this host are none of our business."""
    run = next(event["id"] for event in events(running.out) if event["event"] == "RunStarted")
    return {name for name in machines_with(run) if run in name}


def test_a_cancelled_job_leaves_a_report_and_no_machine(step: Step, httpserver: HTTPServer) -> None:
    github = serve(httpserver)
    step.inputs["github-token"] = "ghs_secret0123456789"
    step.environment["GITHUB_API_URL"] = httpserver.url_for("").rstrip("/")
    with step.start() as running:
        wait_for(lambda: "begun" in running.log, BOOT, "the script")
        assert own_machines(running)
        took = running.cancel()
        LOG.info("cancelled: ended after %.2f s", took)
    assert running.process.returncode == 130
    assert took < 7.5, "it should not need the second signal"
    assert not own_machines(running)
    assert not list((step.home / "runs").iterdir())
    told = outputs(running)
    assert told["outcome"] == "interrupted"
    assert told["upload"] == "true"
    assert Path(told["report"]).exists()
    assert "begun" in (running.out / "provision.log").read_text()
    assert "interrupted" in (running.folder / "summary").read_text()
    (run,) = github.check_runs
    assert run["conclusion"] == "cancelled"
    assert github.invalid == []
    assert "ghs_secret" not in running.log
    assert not [path for path in running.out.rglob("*") if path.is_file() and b"ghs_secret" in path.read_bytes()]


def test_a_killed_job_leaves_no_machine_and_the_next_reap_takes_its_files(step: Step) -> None:
    with step.start() as running:
        wait_for(lambda: has_started(running.out, "network"), BOOT, "a machine")
        wait_for(lambda: own_machines(running), 30, "its QEMU")
        running.kill_tree()
    assert running.process.returncode == -signal.SIGKILL
    wait_for(lambda: not own_machines(running), 20, "libvirt to end the machine")
    reaped = command(step.action, step.home, "reap")
    assert "removed" in reaped.communicate(timeout=60)[0]
    assert not list((step.home / "runs").iterdir())
