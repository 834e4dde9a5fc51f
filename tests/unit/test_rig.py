"""The rig's own arithmetic and what it takes from the runner's page; the rig itself is `make test-kvm`."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rig.packing import NETWORK, PYTHONS, for_this_machine, write_blocks
from rig.reading import figures, overhead, read_all
from runner_page import PAGE, blocks_of, step
from samples import STARTED, passed_run, steps
from scenarios.place import UnmetError
from scenarios.runs import snapshots

from kvm_action import result_file
from kvm_action.images.recipes import RECIPES
from kvm_action.plan.load import load_plan
from kvm_action.results import Idempotence, Measures, Milestones, RunResult, StepName, StepOutcome

RIG = Path(__file__).parents[1] / "rig"
PASSED = StepOutcome.PASSED


def run_of(name: str, launch: float, milestones: Milestones, minutes: int = 0) -> RunResult:
    """35 s besides the start: 20 of them the script's, both times, 12.5 the checks'."""
    told = steps(
        (StepName.PREREQUISITES, 1.5, PASSED, ""),
        (StepName.LAUNCH, launch, PASSED, ""),
        (StepName.NETWORK, 2.0, PASSED, ""),
        (StepName.SSH, 3.0, PASSED, ""),
        (StepName.PROVISION, 15.0, PASSED, ""),
        (StepName.VALIDATE, 12.5, PASSED, ""),
        (StepName.IDEMPOTENCE, 6.0, PASSED, ""),
    )
    return replace(
        passed_run(),
        id=name,
        started_at=STARTED + timedelta(minutes=minutes),
        seconds=launch + 5.0 + 35.0,
        steps=told,
        milestones=milestones,
        measures=Measures(provision_seconds=15.0),
        idempotence=Idempotence(exit=0, seconds=5.0),
    )


def keep(result: RunResult, results: Path, place: str, name: str) -> None:
    folder = results / place / name
    folder.mkdir(parents=True)
    result_file.write(result, folder / "result.json")


def test_the_tools_own_time_leaves_out_the_start_and_the_script_both_times() -> None:
    assert overhead(run_of("a", 10.0, Milestones())) == 15.0


def test_a_template_is_compared_with_a_boot_of_the_same_libvirt_and_each_target_is_judged(tmp_path: Path) -> None:
    keep(run_of("a", 95.0, Milestones(port_open=80.0)), tmp_path, "session", "boot")
    keep(run_of("b", 1.0, Milestones(agent=2.0), 5), tmp_path, "session", "template-again")
    keep(run_of("c", 55.0, Milestones(), 9), tmp_path, "system", "boot")
    runs = read_all(tmp_path)
    assert [(run.place, run.name) for run in runs] == [
        ("session", "boot"), ("session", "template-again"), ("system", "boot"),
    ]  # fmt: skip
    told = figures(runs, "session")
    assert told[0].endswith("boot 100.0 s, template 6.0 s: 17 times faster, misses 20")
    assert told[1].endswith("boot 80.0 s, template 2.0 s: 40 times faster, reaches 20")
    assert told[2].endswith("15.0 s, misses 3 s (prerequisites 1.5, validate 12.5)")
    assert figures(runs, "system") == []


def test_the_page_gives_its_commands_in_order_with_the_heading_they_stand_under() -> None:
    page = "## 1. One\n```bash\na\nb\n```\ntext\n```text\nc\n```\n## 2. Two\n\n```sh\nd\n```\n"
    assert [(block.heading, block.kind, block.commands) for block in blocks_of(page)] == [
        ("1. One", "bash", "a\nb\n"), ("1. One", "text", "c\n"), ("2. Two", "sh", "d\n"),
    ]  # fmt: skip


def test_the_rig_runs_what_the_page_says_in_its_order_with_the_modules_of_its_processor(tmp_path: Path) -> None:
    blocks = for_this_machine(PAGE.read_text())
    words = [
        "apt-get install",
        "useradd",
        "65-kvm.rules",
        "modprobe kvm_amd",
        "enable-linger",
        "pip install",
        "reap",
    ]
    assert [word in block.commands for word, block in zip(words, blocks, strict=True)] == [True] * len(words)
    [network] = step(NETWORK)
    assert "usermod -aG libvirt github-runner" in network.commands
    write_blocks(blocks, tmp_path / "page")
    assert sorted(file.name for file in (tmp_path / "page").iterdir()) == [
        "01.bash", "02.bash", "03.bash", "04.text", "05.bash", "06.sh", "07.sh",
    ]  # fmt: skip


def test_the_rigs_plans_are_sound_and_its_images_can_be_built() -> None:
    load_plan(RIG / "plan.yml", [])
    load_plan(RIG / "load/scenarios/quiet.yml", [])
    assert set(PYTHONS) == set(RECIPES)


def test_the_rig_does_not_take_a_snapshot_for_good_that_is_missing_or_not_verified() -> None:
    good = {"name": "clean-boot", "verified": True, "method": "internal"}
    told = {"snapshots": [good, good | {"name": "provisioned"}], "steps": []}
    assert "verified (internal)" in snapshots(told)
    with pytest.raises(UnmetError, match="not verified"):
        snapshots({"snapshots": [good, good | {"name": "provisioned", "verified": False}], "steps": []})
    refused = {"name": "snapshot", "detail": "cannot go back"}
    with pytest.raises(UnmetError, match="cannot go back"):
        snapshots({"snapshots": [good], "steps": [refused]})
