"""Eight runs at once, and two users at once: all pass, nobody sees the other, nothing is left."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from accounts import ordinary_user
from tooling import Tool
from traces import traces

pytestmark = pytest.mark.slow

PLAN = "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\nprovision: {run: 'sleep 5'}\n"
AT_ONCE = 8
LIMIT = 900


@pytest.mark.timeout(2 * LIMIT)
def test_eight_runs_at_once_all_start_from_the_template_and_leave_nothing(tool: Tool) -> None:
    plan = str(tool.write_plan(PLAN))
    assert tool("template", "build", plan, timeout=LIMIT).status == 0
    before = traces(tool)
    started = [tool.start("run", plan) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as everyone:
        ends = list(everyone.map(lambda each: tool.wait(*each, timeout=LIMIT), started))
    for ended in ends:
        assert ended.status == 0, ended.stdout + ended.stderr
        assert ended.result["start"]["mode"] == "template", ended.result["start"]
    assert len({ended.result["guest"]["hostname"] for ended in ends}) == AT_ONCE
    assert traces(tool) == before


@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_two_users_at_once_pass_and_neither_can_reap_the_others_machine(tool: Tool, images: Path) -> None:
    plan = str(tool.write_plan(PLAN))
    with ordinary_user() as user, ThreadPoolExecutor(1) as other:
        shutil.copytree(images, user.home / "images", ignore=shutil.ignore_patterns("work", "locks"))
        checkout = user.install_tool()
        (user.home / "plan.yml").write_text(PLAN)
        user.own_everything()
        theirs = other.submit(
            user.run,
            ["/usr/bin/python3", "-m", "kvm_action", "run", str(user.home / "plan.yml"), "--start", "boot"],
            cwd=checkout,
            environment={"KVM_E2E_HOME": str(user.home), "PYTHONPATH": str(user.home / "packages")},
            timeout=LIMIT,
        )
        ours = [tool("run", plan, timeout=LIMIT)]
        while not theirs.done():
            assert "nothing was left behind" in tool("reap", "--all").stdout
            ours.append(tool("run", plan, timeout=LIMIT))
        assert theirs.result().returncode == 0, theirs.result().stdout + theirs.result().stderr
        assert not list((user.home / "runs").iterdir())
    assert {ended.status for ended in ours} == {0}, [ended.stdout + ended.stderr for ended in ours]
