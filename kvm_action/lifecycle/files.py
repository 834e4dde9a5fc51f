"""The files of an output folder, as the result lists them."""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kvm_action.digest import sha256_of
from kvm_action.results import Artifact, SnapshotInfo
from kvm_action.whole_file import ANOTHER_OUT, write_whole

TOLD_ELSEWHERE: Final = {"result.json", "report.md", "report.html", "junit.xml", "ctrf.json", "events.jsonl"}
"""Made from the result, or still growing."""
OF_A_RUN: Final = (
    *("artifacts", "guest", "screenshots", "snapshots.json", "domain.xml"),
    *("console.log", "template-console.log", "qemu.log", "provision.log", "provision-again.log"),
)


def artifacts_in(out: Path) -> tuple[Artifact, ...]:
    """Every regular file below ``out``, sorted by path; links are not followed."""
    files = (file for file in sorted(out.rglob("*")) if file.is_file() and not file.is_symlink())
    return tuple(
        Artifact(path=str(file.relative_to(out)), bytes=file.stat().st_size, sha256=sha256_of(file))
        for file in files
        if file.name not in TOLD_ELSEWHERE or file.parent != out
    )


def remove_what_a_killed_run_left(out: Path) -> None:
    """Its files would be told as the next run's. Only names of ours, in a folder where a run began."""
    for name in OF_A_RUN:
        shutil.rmtree(out / name, ignore_errors=True)
        with suppress(OSError):
            (out / name).unlink(missing_ok=True)


def write_snapshots(snapshots: Sequence[SnapshotInfo], path: Path) -> None:
    """`snapshots.json`: what was taken so far, with provenance."""
    listed = [asdict(snapshot) | {"created": snapshot.created.isoformat()} for snapshot in snapshots]
    write_whole(path, json.dumps(listed, indent=2) + "\n", ANOTHER_OUT)
