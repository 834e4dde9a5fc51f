"""Packages of npm that hold others' work, which is not kept here."""

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from kvm_action import proc

PAUSES: Final = (0, 10, 60)
"""Seconds before each try: a registry, or the way to it, is busy now and then."""


def packed(packages: list[str], into: Path, what: str) -> list[Path]:
    """The packages' archives in ``into``; skips the test where there is no npm to fetch ``what`` with."""
    if not shutil.which("npm"):
        pytest.skip(f"npm fetches {what}, and is not installed")
    into.mkdir(parents=True, exist_ok=True)
    failures = []
    for pause in PAUSES:
        time.sleep(pause)
        done = proc.run(
            ["npm", "pack", "--silent", "--pack-destination", str(into), *packages], timeout=timedelta(minutes=2)
        )
        if done.ok:
            return [into / name for name in done.stdout.split()]
        failures.append(done.last_words)
    raise AssertionError(failures)
