"""`kvm-e2e image`: the store of base images."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from kvm_action.backends.kept import changing, opened
from kvm_action.backends.promoting import promote as promote_disk
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.vm import chosen
from kvm_action.images.bootstrap import build as build_image
from kvm_action.images.importing import import_file, imported
from kvm_action.images.model import Firmware, Image
from kvm_action.images.recipes import RECIPES
from kvm_action.images.reference import require_name
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.units import format_size


@click.group(cls=WholeSentences)
def command() -> None:
    """The store of base images: build, import, promote, list, inspect, remove."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def list_images(*, as_json: bool) -> None:
    """Show the images that are there."""
    images = _store().list()
    if as_json:
        click.echo(json.dumps([facts_of(image) for image in images], indent=2))
    elif images:
        click.echo("\n".join(rows(images)))
    else:
        click.echo(f"no images yet; `kvm-e2e image build NAME` makes one of: {', '.join(RECIPES)}")


@command.command()
@click.argument("name", metavar="[NAME]", type=click.Choice(list(RECIPES)), default=next(iter(RECIPES)))
@click.option("--force", is_flag=True, help="Make it again even when it is there.")
def build(name: str, *, force: bool) -> None:
    """Make an image from Debian packages, without root and without downloading an image.

    NAME is debian-13 (the default) or debian-12.
    """
    image = build_image(_store(), name, _say, force=force)
    click.echo(f"{image.name}: {format_size(image.bytes)}, {image.path}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What plans will call it.")
@click.option("--sha256", required=True, metavar="HEX", help="The checksum that its publisher states.")
@click.option(
    "--firmware",
    type=click.Choice([each.value for each in Firmware]),
    default=Firmware.BIOS.value,
    show_default=True,
    help="What it boots by.",
)
@click.option("--os", "system", default="", help="What is on it, such as debian-13.")
def import_image(file: Path, name: str, sha256: str, firmware: str, system: str) -> None:
    """Take a qcow2, raw or vmdk file into the store."""
    facts = imported(Firmware(firmware), system)
    image = import_file(_store(), file, name=name, facts=facts, sha256=sha256, progress=_say)
    click.echo(f"{image.name}: {format_size(image.bytes)}, {image.path}")


@command.command()
@click.argument("reference", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="For a program to read, with the list of packages.")
@click.option("--verify", is_flag=True, help="Read the whole file and compare its checksum.")
def inspect(reference: str, *, as_json: bool, verify: bool) -> None:
    """Show what is known of an image."""
    store = _store()
    image = store.get(reference)
    if verify:
        store.verify(image)
    facts = facts_of(image)
    if as_json:
        facts["package_versions"] = {package.name: package.version for package in image.packages}
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    click.echo("\n".join(f"{key:<{width}}  {value}" for key, value in facts.items()))


@command.command()
@click.argument("name", required=False)
@click.option("--unused", is_flag=True, help="Also remove files that no name means any more.")
def remove(name: str | None, *, unused: bool) -> None:
    """Forget an image and remove its file."""
    if not name and not unused:
        raise click.UsageError("say which image to remove, or --unused")
    store = _store()
    freed = store.remove(name) if name else 0
    freed += store.remove_unused() if unused else 0
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
    with changing(machine), opened(machine) as there:
        image = promote_disk(there, _store(), name, _say)
    click.echo(f"{image.name}: {format_size(image.bytes)}, {image.path}")


def facts_of(image: Image) -> dict[str, object]:
    """An image as plain values, in the order in which they are shown."""
    return {
        "name": image.name,
        "path": str(image.path),
        "sha256": image.sha256,
        "format": image.format,
        "bytes": image.bytes,
        "virtual_bytes": image.virtual_bytes,
        "firmware": image.firmware,
        "os": image.os,
        "created": image.created.isoformat(timespec="seconds"),
        "recipe": image.recipe,
        "packages": len(image.packages),
        **_origin(image),
    }


def _origin(image: Image) -> dict[str, object]:
    if (origin := image.origin) is None:
        return {}
    parent = f"{origin.image}@{origin.image_sha256[:12]}"
    return {"parent": parent, "run": origin.run, "plan": origin.plan}


def rows(images: Sequence[Image]) -> list[str]:
    """A table of images."""
    cells = [("NAME", "SIZE", "DISK", "FIRMWARE", "CREATED", "SHA256")]
    cells += [
        (
            image.name,
            format_size(image.bytes),
            format_size(image.virtual_bytes),
            image.firmware,
            f"{image.created:%Y-%m-%d %H:%M}",
            image.sha256[:12],
        )
        for image in images
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def _store() -> Store:
    return Store(Home.from_environ().images)


def _say(line: str) -> None:
    click.echo(line, err=True)
