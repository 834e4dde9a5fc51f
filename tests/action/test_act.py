"""Workflows that use the action, run by act: what a user finds in the log, the outputs and the artifact."""

import json
import re
import tarfile
from io import BytesIO

import pytest
from act import CHECKOUT, Ended, Project

IMAGE = "debian-12"
JOB = f"""
on: {{workflow_dispatch: {{inputs: {{image: {{default: {IMAGE}}}}}}}}}
permissions: {{}}
jobs:
  kvm:
    runs-on: [self-hosted, kvm]
    steps:
      - uses: {CHECKOUT}
      - id: e2e
        uses: org/kvm-e2e@v1
        with:
          accel: tcg
INPUTS
      - if: always()
        env:
          OUTPUTS: ${{{{ toJSON(steps.e2e.outputs) }}}}
        run: python3 -c 'import json, os; print("OUTPUTS", json.dumps(json.loads(os.environ["OUTPUTS"])))'
"""
PLAN = """
name: small
machine: {memory: 1GiB}
provision: {run: "SCRIPT"}
snapshots: []
checks:
  - file: /etc/hostname
  - command: {run: "test ! -e /etc/broken", exit: 0}
artifacts: [/tmp/odd/**]
"""
SCRIPT = "mkdir /tmp/odd; echo x > '/tmp/odd/a:b?c'; chmod 751 '/tmp/odd/a:b?c'; echo '::error::owned'"
FLEET = """
on: workflow_dispatch
permissions: {}
jobs:
  fleet:
    uses: ./.github/workflows/kvm-e2e.yml
    with:
      plans: |
        e2e/one.yml
        e2e/two.yml
      images: missing-a, missing-b
"""


def job(**inputs: str) -> str:
    lines = [f"          {name.replace('_', '-')}: {json.dumps(value)}" for name, value in inputs.items()]
    return JOB.replace("INPUTS", "\n".join(lines))


def summary(ended: Ended) -> str:
    return "\n".join(line["content"] for line in ended.lines if line.get("command") == "summary")


def test_a_manual_run_passes_on_a_real_machine_and_uploads_its_report(project: Project) -> None:
    project.write("plan.yml", PLAN.replace("SCRIPT", SCRIPT))
    ended = project.run(job(image="${{ inputs.image }}"), "--input", f"image={IMAGE}")
    assert ended.status == 0, ended.log
    outputs = ended.outputs()
    assert outputs["outcome"] == "passed"
    assert (outputs["passed"], outputs["failed"]) == ("2", "0")
    assert (outputs["accel"], outputs["failure-class"]) == ("tcg", "")
    assert float(outputs["seconds"]) > 1
    assert outputs["artifact-url"].endswith(outputs["artifact-id"])
    ((name, files),) = ended.uploaded().items()
    assert name.startswith("kvm-e2e-small-kvm-")
    assert {"report.html", "report.md", "result.json", "junit.xml", "provision.log", "console.log"} <= files.keys()
    assert json.loads(files["result.json"])["id"] == outputs["run-id"]
    with tarfile.open(fileobj=BytesIO(files["artifacts.tar"])) as packed:
        (odd,) = [member for member in packed.getmembers() if member.isfile()]
    assert odd.name.endswith("/a:b?c")
    assert odd.mode == 0o751
    assert not [line for line in ended.lines if line.get("command") == "error"], "the script's words were obeyed"
    assert "  | ::error::owned" in ended.log


def test_a_script_that_fails_fails_the_job_at_its_line_and_the_report_is_there(project: Project) -> None:
    project.write("e2e/install.sh", "#!/bin/bash\nset -e\necho begin\nno-such-command\n")
    plan = PLAN.replace("SCRIPT", "bash /tmp/e2e/install.sh") + "files: [{from: ., to: /tmp/e2e}]\n"
    project.write("e2e/plan.yml", plan)
    ended = project.run(job(plan="plan.yml", working_directory="e2e", image=IMAGE))
    assert ended.status == 1
    outputs = ended.outputs()
    assert (outputs["outcome"], outputs["failure-class"]) == ("failed", "provision")
    assert outputs["failure-step"] == "provision"
    errors = [line for line in ended.lines if line.get("command") == "error"]
    assert [(one["kvPairs"]["file"], one["kvPairs"]["line"]) for one in errors] == [("e2e/install.sh", "4")]
    assert "report.html" in next(iter(ended.uploaded().values()))


def test_a_wrong_plan_is_shown_at_its_line(project: Project) -> None:
    project.write("plan.yml", PLAN.replace("memory", "memorie").replace("SCRIPT", "true"))
    ended = project.run(job())
    assert ended.status == 1
    assert ended.outputs()["failure-class"] == "plan"
    (error,) = [line for line in ended.lines if line.get("command") == "error"]
    assert (error["kvPairs"]["file"], error["kvPairs"]["line"]) == ("plan.yml", "3")
    assert "memory" in error["arg"]
    assert not ended.uploaded()


def test_all_wrong_inputs_are_told_at_once(project: Project) -> None:
    project.write("plan.yml", PLAN.replace("SCRIPT", "true"))
    ended = project.run(job(keep="forever", timeout="soon", upload="reports"))
    assert ended.outputs()["outcome"] == "error"
    for words in (
        "3 inputs",
        "keep: expected never, on-failure or always",
        "timeout: expected a duration",
        "did you mean report?",
    ):
        assert words in ended.log
    assert not ended.uploaded()


def test_jobs_of_a_matrix_upload_artifacts_of_their_own(project: Project) -> None:
    project.write("plan.yml", PLAN.replace("SCRIPT", "true"))
    matrix = "    strategy: {matrix: {image: [missing-a, missing-b]}}\n    runs-on:"
    workflow = job(image="${{ matrix.image }}").replace("    runs-on:", matrix)
    ended = project.run(workflow)
    assert ended.status == 1
    uploaded = ended.uploaded()
    assert len(uploaded) == 2
    failures = {json.loads(files["result.json"])["failure"]["message"] for files in uploaded.values()}
    assert failures == {f"there is no image missing-{letter} in the store" for letter in "ab"}


@pytest.mark.parametrize("upload", ["nothing", "snapshots"])
def test_what_is_not_wanted_is_not_uploaded(project: Project, upload: str) -> None:
    project.write("plan.yml", PLAN.replace("SCRIPT", "true"))
    ended = project.run(job(image="missing", upload=upload))
    assert ended.outputs()["artifact-id"] == ""
    assert not ended.uploaded()


def test_the_workflow_for_a_fleet_shares_plans_and_images_and_puts_the_results_together(project: Project) -> None:
    """The workflow as it stands, but for where the action comes from: act knows no ``job.workflow_sha``."""
    text = (project.action / ".github/workflows/kvm-e2e.yml").read_text()
    own = re.compile(r"      - name: Check out the action.*?persist-credentials: false\n", re.DOTALL)
    assert len(own.findall(text)) == 3
    text = own.sub("", text)
    text = re.sub(r"uses: \./\.kvm-e2e(/\w+)?", r"uses: org/kvm-e2e\1@v1", text)
    project.write(".github/workflows/kvm-e2e.yml", text)
    for name in ("one", "two"):
        project.write(f"e2e/{name}.yml", PLAN.replace("name: small", f"name: {name}").replace("SCRIPT", "true"))
    ended = project.run(FLEET)
    assert ended.status == 1, "no run passed"
    uploaded = ended.uploaded()
    (name,) = (one for one in uploaded if re.fullmatch("all-results-1-[0-9a-f]{8}", one))
    all_results = uploaded.pop(name)
    assert len(uploaded) == 4
    assert len([name for name in all_results if name.endswith("result.json")]) == 4
    assert "## 0 of 4 runs passed" in ended.log
    for name in ("one", "two"):
        for image in "ab":
            assert f"There is no image missing-{image}" in ended.log
        assert f"| {name} |" in ended.log
