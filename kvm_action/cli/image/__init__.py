"""`kvm-e2e image`: the store of base images."""

import json

import click

from kvm_action.backends.kept import changing, opened
from kvm_action.backends.promoting import promote as promote_disk
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.image.build import build
from kvm_action.cli.image.shown import facts_of, lines, rows, say, store_of_user, tell_made
from kvm_action.cli.image.taking import import_image
from kvm_action.cli.vm import chosen
from kvm_action.images.recipes import RECIPES
from kvm_action.images.reference import require_name
from kvm_action.interruption import WAY_BACK, interruptible
from kvm_action.paths import Home
from kvm_action.runs import images_in_use
from kvm_action.units import format_size


@click.group(cls=WholeSentences)
def command() -> None:
    """The store of base images: build, import, promote, list, inspect, remove."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def list_images(*, as_json: bool) -> None:
    """Show the images that are there."""
    images = store_of_user().list()
    if as_json:
        click.echo(json.dumps([facts_of(image) for image in images], indent=2))
    elif images:
        click.echo("\n".join(rows(images)))
    else:
        click.echo(f"no images yet; `kvm-e2e image build NAME` makes one of: {', '.join(RECIPES)}")


@command.command()
@click.argument("reference", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="For a program to read, with the list of packages.")
@click.option("--verify", is_flag=True, help="Read the whole file and compare its checksum.")
def inspect(reference: str, *, as_json: bool, verify: bool) -> None:
    """Show what is known of an image."""
    store = store_of_user()
    image = store.get(reference)
    if verify:
        store.verify(image)
    facts = facts_of(image)
    if as_json:
        facts["package_versions"] = {package.name: package.version for package in image.packages}
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo("\n".join(lines(facts)))


@command.command()
@click.argument("name", required=False)
@click.option("--unused", is_flag=True, help="Also remove files that no name means any more.")
def remove(name: str | None, *, unused: bool) -> None:
    """Forget an image and remove its file."""
    if not name and not unused:
        raise click.UsageError("say which image to remove, or --unused")
    store, machines = store_of_user(), images_in_use(Home.from_environ().runs)
    freed = store.remove(name, machines) if name else 0
    freed += store.remove_unused(machines) if unused else 0
    click.echo(f"{format_size(freed)} freed")


@command.command()
@click.argument("run")
@click.option("--as", "name", required=True, help="What plans will call the image.")
def promote(run: str, name: str) -> None:
    """Make an image of the disk of a kept machine, sealed: no keys, ids, logs or history.

    RUN is a run's id, its unique beginning, or `last`. The machine then goes on as it was.
    """
    require_name(name)
    machine = chosen(run)
    with interruptible(grace=WAY_BACK) as interruption, changing(machine), opened(machine) as there:
        image = promote_disk(there, store_of_user(), name, say, interruption.held)
    tell_made(image)


command.add_command(build)
command.add_command(import_image)
