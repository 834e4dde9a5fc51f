"""What a user gets wrong before any machine boots: the right exit code, words that help, nothing left behind.

Scripts that misbehave are in `test_scripts`, guests and hosts that do in `test_runs`, plans in `unit/test_plan`.
"""

import os
import subprocess
from pathlib import Path

import pytest
from tooling import Tool

SMALL = "machine: {image: debian-12, memory: 768MiB}\nprovision: {run: 'true'}\n"


@pytest.fixture
def disk(tool: Tool) -> Path:
    path = tool.folder / "disk.qcow2"
    raw = tool.folder / "disk.raw"
    raw.write_bytes(os.urandom(4 << 20))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, path], check=True)
    return path


def refused_image(tool: Tool, image: str) -> str:
    """Run a plan on an image that is no good; its message and hint."""
    ended = tool("run", str(tool.write_plan(SMALL)), "--image", image, timeout=60)
    assert ended.status == 3, ended.stdout + ended.stderr
    assert ended.failure["class"] == "image"
    assert ended.failure["step"] == "prerequisites"
    assert {step["outcome"] for step in ended.result["steps"] if step["name"] in ("overlay", "launch")} == {
        "skipped"
    }
    assert (ended.out / "report.html").exists()
    return f"{ended.failure['message']}\n{ended.failure['hint']}"


def test_an_image_that_the_store_does_not_have_is_named_with_what_was_meant(tool: Tool) -> None:
    assert "did you mean debian-12" in refused_image(tool, "debain-12")


def test_an_image_file_that_is_not_there_is_named(tool: Tool) -> None:
    assert f"no image file {tool.folder}/none.qcow2" in refused_image(tool, f"{tool.folder}/none.qcow2")


def test_a_truncated_image_is_refused_before_a_machine_starts_from_it(tool: Tool, disk: Path) -> None:
    os.truncate(disk, disk.stat().st_size // 2)
    told = refused_image(tool, str(disk))
    assert "damaged" in told or "cut short" in told
    assert "fetch or build it again" in told


def test_a_download_with_another_checksum_does_not_enter_the_store(tool: Tool, disk: Path) -> None:
    (tool.home / "images").unlink()
    ended = tool("image", "import", str(disk), "--name", "mine", "--sha256", "0" * 64, timeout=60)
    assert ended.status == 3
    assert "not the file that was promised" in ended.stderr
    assert "no images yet" in tool("image", "list").stdout


def test_more_memory_than_any_host_has_is_said_so(tool: Tool) -> None:
    plan = tool.write_plan(SMALL)
    ended = tool("run", str(plan), "--set", "machine.memory=4TiB", "--accel", "tcg", timeout=60)
    assert ended.status == 3, ended.stdout
    assert "asks for 4.0 TiB of memory, and this host has" in ended.failure["message"]
    assert "machine.memory" in ended.failure["hint"]


def test_a_result_is_never_written_over_by_another_run(tool: Tool) -> None:
    plan = tool.write_plan(SMALL)
    first = tool("run", str(plan), "--image", "no-such-image", timeout=60)
    written = (first.out / "result.json").read_bytes()
    tool.calls -= 1  # the same output folder
    again = tool("run", str(plan), "--image", "no-such-image", timeout=60)
    assert again.status == 2
    assert "holds the result of another run" in again.stderr
    assert (first.out / "result.json").read_bytes() == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("provision: [", "not YAML"),
        ("provision: {run: x}\nmachine: {memroy: 4GiB}", "machine.memory"),
        ("provision: {run: [x]}", "provision.run"),
        ("provision: {run: x}\nmachine: {disk: 900TiB}", "900TiB"),
    ],
)
def test_a_wrong_plan_starts_nothing_and_exits_two(tool: Tool, text: str, words: str) -> None:
    ended = tool("run", str(tool.write_plan(text)), timeout=60)
    assert ended.status == 2
    assert words in ended.stderr
    assert not ended.out.exists()


def test_a_plan_that_is_not_there_exits_two(tool: Tool) -> None:
    ended = tool("run", str(tool.folder / "nothing.yml"), timeout=60)
    assert ended.status == 2
    assert "there is no plan" in ended.stderr
