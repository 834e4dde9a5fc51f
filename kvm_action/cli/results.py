"""`kvm-e2e results`: the results of several runs as one table."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from kvm_action import result_file
from kvm_action.cli.crash import show
from kvm_action.errors import ExitCode, PlanError
from kvm_action.report.overview import overview
from kvm_action.results import Outcome, RunResult

_ATTEMPT: Final = re.compile(r"(?P<job>kvm-e2e-.+)-(?P<attempt>[0-9]{1,4})-[0-9a-f]{6}")


@click.command(name="results")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--check", is_flag=True, help="Exit 1 when a run did not pass.")
def command(folder: Path, check: bool) -> ExitCode:
    """Print every result.json below FOLDER as one Markdown table, what did not pass first.

    Of the artifacts of a job that was run again, the newest attempt counts. Exits 2 when one of them could not be
    read.
    """
    files = of_newest_attempts(result_file.below(folder))
    if not files:
        raise PlanError(f"there is no result.json below {folder}", "Give the folder of several runs' results.")
    results = [result for file in files if (result := _read(file))]
    if results:
        click.echo(overview(results), nl=False)
    if len(results) < len(files):
        return ExitCode.USAGE
    bad = check and any(one.outcome is not Outcome.PASSED for one in results)
    return ExitCode.TEST_FAILED if bad else ExitCode.PASSED


def of_newest_attempts(files: Iterable[Path]) -> list[Path]:
    """``files`` without those of artifacts of the action (`artifact_name`) that a later attempt has replaced."""
    found = [(file, _ATTEMPT.fullmatch(file.parent.name)) for file in files]
    newest: dict[str, int] = {}
    for _file, named in found:
        if named:
            newest[named["job"]] = max(newest.get(named["job"], 0), int(named["attempt"]))
    return [file for file, named in found if not named or int(named["attempt"]) == newest[named["job"]]]


def _read(file: Path) -> RunResult | None:
    """The result; one that is damaged is named on standard error, and the others are shown."""
    try:
        return result_file.read(file)
    except PlanError as error:
        show(error)
        return None
