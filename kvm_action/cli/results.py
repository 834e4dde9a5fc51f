"""`kvm-e2e results`: the results of several runs as one table."""

from pathlib import Path

import click

from kvm_action import result_file
from kvm_action.errors import ExitCode, PlanError
from kvm_action.report.overview import overview
from kvm_action.results import Outcome


@click.command(name="results")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--check", is_flag=True, help="Exit 1 when a run did not pass.")
def command(folder: Path, check: bool) -> ExitCode:
    """Print every result.json below FOLDER as one Markdown table, what did not pass first."""
    files = result_file.below(folder)
    if not files:
        raise PlanError(f"there is no result.json below {folder}", "Give the folder of several runs' results.")
    results = [result_file.read(file) for file in files]
    click.echo(overview(results), nl=False)
    bad = check and any(one.outcome is not Outcome.PASSED for one in results)
    return ExitCode.TEST_FAILED if bad else ExitCode.PASSED
