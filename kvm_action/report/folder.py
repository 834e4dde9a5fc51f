"""All reports of a run, written into its output folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kvm_action.report.ctrf import ctrf
from kvm_action.report.html import html
from kvm_action.report.junit import junit
from kvm_action.report.markdown import markdown
from kvm_action.report.pictures import pictures_in
from kvm_action.results import RunResult
from kvm_action.whole_file import ANOTHER_OUT, write_whole

SUMMARY_LIMIT: Final = 1_000_000
"""Bytes of report.md; GitHub refuses a job summary over 1 MiB."""


def write_reports(result: RunResult, out: Path) -> tuple[Path, ...]:
    """Write report.md, report.html, junit.xml and ctrf.json into ``out``, each whole; returns their paths.

    Raises HostError when the host does not let us (no space, no permission).
    """
    texts = {
        "report.md": markdown(result, SUMMARY_LIMIT),
        "report.html": html(result, frozenset(_present(result, out)), pictures_in(out / "screenshots")),
        "junit.xml": junit(result),
        "ctrf.json": ctrf(result),
    }
    for name, text in texts.items():
        write_whole(out / name, text, ANOTHER_OUT)
    return tuple(out / name for name in texts)


def _present(result: RunResult, out: Path) -> Iterator[str]:
    """Those of the artifacts that are files below ``out``; a name that leads outside is not one."""
    folder = out.resolve()
    for artifact in result.artifacts:
        try:
            path = (out / artifact.path).resolve()
            if path.is_relative_to(folder) and path.is_file():
                yield artifact.path
        except (OSError, ValueError):  # a name too long, or with a NUL: no file of ours
            continue
