"""The examples' scripts, as shellcheck sees them."""

import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("**/*.sh"))
# Sourced files name each other's variables, and a list of packages is meant to be split into words.
ALLOWED = "SC1090,SC1091,SC2034,SC2086,SC2154"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("shellcheck") is None, reason="tools/host-packages test installs shellcheck"),
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_a_script_has_no_mistake_that_can_be_seen_without_running_it(path: Path) -> None:
    command = ["shellcheck", "--shell=sh", f"--exclude={ALLOWED}", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ended.returncode, ended.stdout
