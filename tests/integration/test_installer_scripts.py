"""The scripts that run in the Debian installer, with a folder in the place of its root."""

import os
import subprocess
from pathlib import Path

import pytest

from kvm_action.images import debian_installer

FILES = Path(debian_installer.__file__).parent / "files"
COMMANDS = {
    "logger": 'shift; echo "$@" >>"$PLACE/log"',
    "fstrim": "false",
    "dd": 'echo "$*" >>"$PLACE/dd"; echo zeros; test "$(wc -l <"$PLACE/dd")" -lt 4',
    "in-target": "",
    "sleep": "",
    "sync": "",
}

pytestmark = pytest.mark.integration


def finish(place: Path) -> list[str]:
    """What finish.sh logs."""
    for folder in ("bin", "kvm-e2e/tree", "target/usr/bin", "target/var"):
        (place / folder).mkdir(parents=True)
    for name, script in {**COMMANDS, "../target/usr/bin/apt-get": ""}.items():
        command = place / "bin" / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    for name in ("complete.sh", "packages.list"):
        (place / "kvm-e2e" / name).touch()
    script = (FILES / "finish.sh").read_text().replace("/target", f"{place}/target")
    variables = {"PATH": f"{place}/bin:{os.environ['PATH']}", "PLACE": str(place)}
    text = script.replace(" /kvm-e2e/", f" {place}/kvm-e2e/")
    subprocess.run(["sh", "-c", text], env=variables, timeout=20, check=True)
    return (place / "log").read_text().splitlines()


def test_zeroing_a_disk_that_cannot_be_trimmed_is_heard_of_until_it_is_full(tmp_path: Path) -> None:
    said = finish(tmp_path)
    assert said.count("kvm-e2e zeroed 256 MiB more") == 3
    assert said[-1] == "kvm-e2e sealed"
    assert not (tmp_path / "target/zero").exists()
