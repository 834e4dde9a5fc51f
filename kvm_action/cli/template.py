"""`kvm-e2e template`: machines frozen after their boot, which runs start from in a fraction of a boot's time."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from kvm_action.backends.kvm import KvmBackend
from kvm_action.backends.settings import Settings
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.options import choice
from kvm_action.errors import HostError, PlanError
from kvm_action.events import Event, Note
from kvm_action.frozen import Template, TemplateStore
from kvm_action.images.store import Store
from kvm_action.interruption import interruptible
from kvm_action.paths import Home
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Accel, Keep, StartMode
from kvm_action.runs import new_run_id, templates_in_use
from kvm_action.text import did_you_mean
from kvm_action.units import format_seconds, format_size
from kvm_action.work_folder import scratch


@click.group(cls=WholeSentences)
def command() -> None:
    """Machines frozen after their boot: list, build, remove. A run makes the one it needs by itself."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def list_templates(*, as_json: bool) -> None:
    """Show the templates that are there, last used first."""
    store = _store()
    templates = store.list()
    if as_json:
        click.echo(json.dumps([_facts(template) for template in templates], indent=2))
    elif templates:
        click.echo("\n".join(rows(templates, store.leased())))
    else:
        click.echo("no templates yet; the first run of a plan makes one, or `kvm-e2e template build PLAN`")


@command.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--image", help="Use this image instead of the plan's.")
@click.option("--accel", type=choice(Accel), default="auto", show_default=True, help="KVM or emulation.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of the plan.")
@click.option("--mode", type=click.Choice(["template", "restore"]), default="template", show_default=True,
              help="Memory in a file of its own (quickest), or in the saved state.")  # fmt: skip
def build(plan: Path, image: str | None, accel: str, overrides: tuple[str, ...], mode: str) -> None:
    """Make the template of PLAN's machine now, so that the first run need not."""
    loaded, home = load_plan(plan, overrides).plan, Home.from_environ()
    with interruptible(), scratch("template") as out:
        settings = Settings(
            run=new_run_id(datetime.now(UTC)),
            image=image or loaded.machine.image,
            accel=Accel(accel),
            keep=Keep.NEVER,
            store=Store(home.images),
            runs=home.runs,
            templates=home.templates,
            start=StartMode(mode),
            out=out,
        )
        with KvmBackend(loaded, settings, _say).machine() as machine:
            click.echo(machine.check_host())
            start = machine.facts().start
    if start is None or not start.template:
        raise HostError(
            start.reason if start else "no template was made", "`kvm-e2e run --start boot` goes without"
        )
    click.echo(start.reason)


@command.command()
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="Remove every template that no machine stands on.")
def remove(key: str | None, *, everything: bool) -> None:
    """Remove the template KEY (a prefix will do)."""
    store = _store()
    if key and everything:
        raise PlanError("--all removes every template, so no key goes with it", "give one or the other")
    if not key and not everything:
        raise PlanError("say which template to remove", "`kvm-e2e template list` shows them; --all means all")
    keys = [template.key for template in store.list()] if everything else [_chosen(store, key or "")]
    freed = [store.remove_idle(each) for each in keys]
    if not everything and freed[0] is None:
        raise PlanError(f"a machine stands on the template {keys[0]}, or is about to", "see `kvm-e2e vm list`")
    click.echo(f"{format_size(sum(filter(None, freed)))} freed")


def rows(templates: Sequence[Template], used: Collection[str]) -> list[str]:
    """A table, one template a line."""
    titles = ("KEY", "IMAGE", "MACHINE", "ACCEL", "SIZE", "MADE IN", "MODE", "IN USE")
    table = [titles, *(_row(template, used) for template in templates)]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    ]


def _row(template: Template, used: Collection[str]) -> tuple[str, ...]:
    shape = template.shape
    return (
        template.key,
        shape.image_name,
        f"{shape.cpus} CPU, {format_size(shape.memory)}, {shape.firmware}",
        shape.accel,
        format_size(template.bytes),
        format_seconds(template.seconds),
        "template" if shape.in_memory_file else "restore",
        ("yes, in doubt" if template.is_in_doubt else "yes") if template.key in used else "",
    )


def _facts(template: Template) -> dict[str, object]:
    facts: dict[str, object] = json.loads(template.to_json())
    facts.pop("identity")  # the nonce proves machines: it is nobody else's business
    return {"key": template.key, "bytes": template.bytes} | facts | {"folder": str(template.folder)}


def _chosen(store: TemplateStore, prefix: str) -> str:
    keys = [template.key for template in store.list()]
    found = [key for key in keys if key.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} templates begin with {prefix}" if found else f"there is no template {prefix}"
    raise PlanError(problem, f"{did_you_mean(prefix, keys)}`kvm-e2e template list` shows all")


def _store() -> TemplateStore:
    home = Home.from_environ()
    return TemplateStore(home.templates, lambda: templates_in_use(home.runs))


def _say(event: Event) -> None:
    if isinstance(event, Note):
        click.echo(event.text, err=True)
