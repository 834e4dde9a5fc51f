"""Packer builds an image from one of ours, by the example's files; the store takes it in, and a run boots it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tooling import REPOSITORY, Tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not shutil.which("packer"), reason="packer is missing: sudo apt-get install -y packer"),
]

PLAN = """
machine: {image: debian-12, memory: 768MiB, cpus: 2}
snapshots: []
provision: {run: 'true'}
checks:
  - file: {path: /etc/motd, contains: built by Packer}
  - command: {run: '! getent passwd packer && test -z "$(ls /usr/local/sbin)"'}
"""


def packer_build(tool: Tool, base: dict) -> Path:
    example, output = tool.folder / "packer", tool.folder / "output"
    shutil.copytree(REPOSITORY / "examples/packer", example)
    variables = {
        "base_image": base["path"],
        "base_sha256": base["sha256"],
        "output": str(output),
        "accelerator": "tcg",
        "cpu": "max,-cx16",
    }
    told = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    quiet = {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", "PACKER_CACHE_DIR": str(tool.folder / "cache")}
    subprocess.run(
        ["packer", "build", *told, "debian.pkr.hcl"],
        cwd=example,
        env={**os.environ, **quiet, "HOME": str(tool.folder)},
        check=True,
        timeout=1200,
        stdin=subprocess.DEVNULL,
    )
    return output / "image.qcow2"


def test_an_image_that_packer_makes_of_ours_is_taken_in_and_boots(tool: Tool) -> None:
    base = json.loads(tool("image", "inspect", "debian-12", "--json").stdout)
    made = packer_build(tool, base)
    digest = subprocess.run(["sha256sum", made], check=True, capture_output=True, text=True).stdout.split()[0]
    name = f"from-packer-{digest[:8]}"
    try:
        taken = tool("image", "import", str(made), "--name", name, "--sha256", digest)
        assert taken.status == 0, taken.stderr
        ended = tool("run", str(tool.write_plan(PLAN)), "--image", name)
        assert ended.status == 0, ended.stdout + ended.stderr
    finally:
        tool("image", "remove", name)
