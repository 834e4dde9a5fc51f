"""What the commands on images print, and the store that they work on."""

from collections.abc import Iterator, Mapping, Sequence

import click

from kvm_action.images.model import Image
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.text import plain_line
from kvm_action.units import format_size


def store_of_user() -> Store:
    """The store in the user's home of the tool."""
    return Store(Home.from_environ().images)


def say(line: str) -> None:
    """Progress goes to standard error."""
    click.echo(plain_line(line), err=True)


def tell_made(image: Image) -> None:
    """That an image is there."""
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
        "method": image.method,
        "recipe": image.recipe,
        "packages": len(image.packages),
        "inputs": {each.name: each.value for each in image.inputs},
        **_origin(image),
    }


def lines(facts: Mapping[str, object]) -> Iterator[str]:
    """The same for a reader; what is grouped follows its group's name, one in a line."""
    flat: dict[str, object] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            flat |= {f"  {name}": one for name, one in value.items()}
        else:
            flat[key] = value
    width = max(map(len, flat))
    for key, value in flat.items():
        yield f"{plain_line(key):<{width}}  {plain_line(str(value))}"


def rows(images: Sequence[Image]) -> list[str]:
    """A table of images."""
    cells = [("NAME", "SIZE", "DISK", "FIRMWARE", "MADE BY", "CREATED", "SHA256")]
    cells += [
        (
            image.name,
            format_size(image.bytes),
            format_size(image.virtual_bytes),
            image.firmware,
            image.method,
            f"{image.created:%Y-%m-%d %H:%M}",
            image.sha256[:12],
        )
        for image in images
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def _origin(image: Image) -> dict[str, object]:
    if (origin := image.origin) is None:
        return {}
    parent = f"{origin.image}@{origin.image_sha256[:12]}"
    return {"parent": parent, "run": origin.run, "plan": origin.plan}
