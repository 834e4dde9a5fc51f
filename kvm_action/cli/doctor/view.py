"""Findings for a reader: a table on a terminal, plain lines elsewhere, JSON for programs."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvm_action.doctor import Finding, Level

MARKS: Final = {Level.OK: "✓", Level.WARNING: "!", Level.PROBLEM: "✗"}
NARROW: Final = 80
"""Columns of a terminal below which the signs stand without their words."""
STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects with subject, level, seen and mend."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)


def for_root(finding: Finding) -> Finding:
    """Root needs no sudo, and may not even have it."""
    return replace(finding, mend=re.sub(r"\bsudo ", "", finding.mend))


def show(findings: Sequence[Finding], verdict: str, console: Console) -> None:
    """All findings, then what mends them (problems last, next to the verdict), then the verdict."""
    if console.is_terminal:
        console.print(_table(findings, narrow=console.width < NARROW))
    else:
        for finding in findings:
            _line(console, f"{finding.level:<8} {finding.subject}: {finding.seen}")
    to_mend = [each for level in (Level.WARNING, Level.PROBLEM) for each in findings if each.level is level]
    for finding in to_mend:
        _show_mend(finding, console)
    console.print()
    console.print(Text(verdict, style=STYLES[_worst(findings)]), soft_wrap=not console.is_terminal)


def _table(findings: Sequence[Finding], *, narrow: bool) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=NARROW // 4 if narrow else None)
    table.add_column(overflow="fold")
    for finding in findings:
        style = STYLES[finding.level]
        mark = Text(MARKS[finding.level] if narrow else f"{MARKS[finding.level]} {finding.level}", style=style)
        table.add_row(mark, Text(finding.subject, style="bold"), Text(finding.seen))
    return table


def _show_mend(finding: Finding, console: Console) -> None:
    """The commands stand whole on lines of their own, however narrow the terminal: they are there to be copied."""
    console.print()
    mark = MARKS[finding.level] if console.is_terminal else f"{finding.level}:"
    heading = Text(f"{mark} {finding.subject}", style=STYLES[finding.level])
    heading.append(f": {finding.seen}", style="default")
    console.print(heading, soft_wrap=not console.is_terminal)
    for line in finding.mend.splitlines():
        style = "dim" if line.startswith("#") else "bold"
        console.print(Text(f"    {line}", style=style), soft_wrap=True)


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)


def _worst(findings: Sequence[Finding]) -> Level:
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)
