"""`kvm-e2e plan`: is a plan right, what may stand in one, and several as a matrix for GitHub."""

import json
from pathlib import Path
from typing import Any

import click

from kvm_action.cli.crash import show
from kvm_action.cli.groups import WholeSentences
from kvm_action.errors import E2EError, ExitCode, PlanError
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Plan
from kvm_action.plan.schema import plan_schema
from kvm_action.text import counted
from kvm_action.units import format_size

_PLANS = click.argument("plans", metavar="PLAN...", type=click.Path(path_type=Path), nargs=-1, required=True)
_SET = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key, such as machine.memory=8GiB."
)


@click.group(cls=WholeSentences)
def command() -> None:
    """Check plans, print their schema, or a matrix of them for GitHub."""


@command.command()
@_PLANS
@_SET
def check(plans: tuple[Path, ...], overrides: tuple[str, ...]) -> ExitCode:
    """Check plans, all of them, without starting anything."""
    results = [_tried(path, overrides) for path in plans]
    for result in results:
        if isinstance(result, LoadedPlan):
            click.echo(f"ok: {summary(result)}")
        else:
            show(result)
    return ExitCode.USAGE if any(isinstance(result, E2EError) for result in results) else ExitCode.PASSED


@command.command()
def schema() -> None:
    """Print the JSON Schema of a plan, for editors."""
    click.echo(json.dumps(plan_schema(), indent=2, ensure_ascii=False))


@command.command()
@_PLANS
@_SET
@click.option("--image", "images", metavar="NAMES", default="", help="Run each plan on these images: a,b.")
def matrix(plans: tuple[Path, ...], overrides: tuple[str, ...], images: str) -> None:
    """Print plans as a matrix for GitHub Actions: one line of JSON, for $GITHUB_OUTPUT and fromJSON()."""
    rows = [_row(load_plan(path, overrides)) for path in plans]
    on_images = [{**row, "image": image} for row in rows for image in images.replace(",", " ").split()]
    click.echo(json.dumps({"include": on_images or rows}))


def summary(loaded: LoadedPlan) -> str:
    """One line that says what a plan is about."""
    plan, machine = loaded.plan, loaded.plan.machine
    size = f"{counted(machine.cpus, 'CPU')}, {format_size(machine.memory)}"
    return f"{plan.name} ({loaded.path}): {machine.image}, {size}, {counted(len(plan.checks), 'check')}"


def _row(loaded: LoadedPlan) -> dict[str, Any]:
    plan: Plan = loaded.plan
    return {"plan": str(loaded.path), "name": plan.name, "image": plan.machine.image}


def _tried(path: Path, overrides: tuple[str, ...]) -> LoadedPlan | PlanError:
    try:
        return load_plan(path, overrides)
    except PlanError as error:
        return error
