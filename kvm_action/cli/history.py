"""`kvm-e2e history`: the results that were kept, and what they say of the newest."""

import json
import os
from pathlib import Path

import click
from click.core import ParameterSource

from kvm_action.cli.crash import show
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.history_view import check_json, check_lines, list_lines, run_json
from kvm_action.errors import E2EError, ExitCode, PlanError
from kvm_action.history.adding import add_result, results_in
from kvm_action.history.changes import since, since_green
from kvm_action.history.regressions import LEAST_EFFECT, WINDOW, Trend, findings
from kvm_action.history.store import History, Reading
from kvm_action.history.verdicts import standings
from kvm_action.text import plain_line

DEFAULT = Path("history")
_PLANS_SHOWN = 20
_IN = click.option(
    "--in", "folder", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="The history."
)
_JSON = click.option("--json", "wants_json", is_flag=True, help="For a program to read.")


@click.group(cls=WholeSentences)
def command() -> None:
    """Keep results, list them, and look for what got slower or broke."""


@command.command()
@click.argument("results", metavar="RESULT...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="The history."
)
def add(results: tuple[Path, ...], folder: Path) -> ExitCode:
    """Keep results: a result.json, or a folder with some in it. Nothing that is kept is ever written again."""
    history, worst = History(folder), ExitCode.PASSED
    for path in (found for given in results for found in results_in(given)):
        try:
            added = add_result(history, path, os.environ)
        except E2EError as error:
            show(error)
            worst = max(worst, error.exit_code)
            continue
        if added.same_id:
            click.echo(f"warning: another result has the same id as {path}; both are kept", err=True)
        click.echo(f"{'added' if added.is_new else 'already there'}: {added.path}")
    return worst


@command.command("list")
@_IN
@click.option("--plan", default="", help="Only runs of this plan.")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@_JSON
def list_runs(folder: Path, plan: str, last: int, wants_json: bool) -> None:
    """Show the newest runs."""
    reading = _read(folder)
    _require_plan(plan, reading)
    chosen = [record for record in reversed(reading.records) if not plan or record.plan == plan][:last]
    if wants_json:
        click.echo(json.dumps([run_json(record) for record in chosen], indent=2, ensure_ascii=False))
    elif chosen:
        click.echo("\n".join(list_lines(chosen)))
    else:
        click.echo(f"no runs in {folder}; `kvm-e2e history add RESULT` keeps one")


@command.command()
@_IN
@click.option(
    "--window", type=click.IntRange(min=5), default=WINDOW, show_default=True, help="Runs to compare with."
)
@click.option(
    "--least-effect",
    type=click.FloatRange(min=0),
    default=LEAST_EFFECT * 100,
    show_default=True,
    metavar="PERCENT",
    help="Smaller differences are not reported.",
)
@click.option("--fail-on-regression", is_flag=True, help="Exit 1 when a regression is confirmed by a second run.")
@_JSON
def check(folder: Path, window: int, least_effect: float, fail_on_regression: bool, wants_json: bool) -> ExitCode:
    """Compare each series' newest run with those before it on the same host, and say what broke and what changed.

    A figure is told when it is beyond the usual by the least effect and by four times the usual spread;
    it is confirmed when the run before shows the same.
    """
    history, reading = History(folder), _read(folder)
    found = findings(reading.records, window=window, least_effect=least_effect / 100)
    stand = standings(reading.records)
    broken = [one.newest for one in stand if not one.is_green]
    told = {run.key: since_green(history, run, reading.records) for run in broken}
    told |= {f"{one.run.key} {one.metric.name}": since(history, one.run, one.base) for one in found}
    if wants_json:
        click.echo(json.dumps(check_json(stand, found, told), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(check_lines(stand, found, told, len(reading.records))))
    regressed = any(one.is_confirmed and one.trend is Trend.REGRESSION for one in found)
    return ExitCode.TEST_FAILED if regressed and fail_on_regression else ExitCode.PASSED


def _read(folder: Path) -> Reading:
    """The history; what is passed over is said on standard error.

    Raises PlanError when a folder that the user named is not there, or nothing in it can be read.
    """
    history = History(folder)
    if click.get_current_context().get_parameter_source("folder") is not ParameterSource.DEFAULT:
        history.require()
    reading = history.read()
    for skipped in reading.skipped:
        click.echo(f"warning: left out {skipped.path}: {skipped.reason}", err=True)
    reading.require_some()
    return reading


def _require_plan(plan: str, reading: Reading) -> None:
    plans = sorted({record.plan for record in reading.records})
    if plan and plans and plan not in plans:
        there = ", ".join(plain_line(one, 100) for one in plans[:_PLANS_SHOWN])
        more = f" and {len(plans) - _PLANS_SHOWN} more" if len(plans) > _PLANS_SHOWN else ""
        raise PlanError(f"no runs of the plan {plan}; there are: {there}{more}")
