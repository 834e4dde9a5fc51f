"""`kvm-e2e site`: the site that shows the history."""

import logging
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from kvm_action.cli.groups import WholeSentences
from kvm_action.errors import HostError
from kvm_action.history.store import History

_IN = click.option(
    "--in",
    "folder",
    type=click.Path(path_type=Path),
    help="The history.  [default: what mkdocs.yml says, or history]",
)


@click.group(cls=WholeSentences)
def command() -> None:
    """Make the site that shows the history, from ./mkdocs.yml or, where there is none, from ours."""


@command.command()
@_IN
@click.option("--to", "out", type=click.Path(path_type=Path), help="The site.  [default: _site]")
@click.option("--strict", is_flag=True, help="Fail on a warning, such as a link that leads nowhere.")
def build(folder: Path | None, out: Path | None, *, strict: bool) -> None:
    """Make the site: a folder for any web server, also below a path, or to be opened from a disk."""
    if folder:
        History(folder).require()
        History(folder).read().require_some()
    building, chosen = _prepared(folder)
    made = building.build_site(chosen, out, strict=strict)
    click.echo(f"{made / 'index.html'}")


@command.command()
@_IN
@click.option("--address", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT")
def serve(folder: Path | None, address: str) -> None:
    """Show the site, and make it again when a result or a page changes."""
    building, chosen = _prepared(folder)
    building.serve_site(chosen, address)


def _prepared(folder: Path | None) -> tuple[ModuleType, Path]:
    """What builds, and from which mkdocs.yml. mkdocs may not be installed: only this command needs it.

    mkdocs reads its configuration again and again, so the history's place is left in the environment.
    """
    try:
        building = import_module("kvm_action.pages.building")
    except ModuleNotFoundError as error:
        raise HostError(
            f"the site needs {error.name}, which is not installed", "in a checkout: pip install -e '.[site]'"
        ) from error
    for name, level in (("mkdocs", logging.WARNING), ("mkdocs.plugins.kvm-e2e", logging.INFO)):
        logging.getLogger(name).setLevel(level)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    chosen = building.configuration(Path.cwd())
    if folder or chosen == building.OURS:
        os.environ["KVM_E2E_HISTORY"] = str((folder or Path("history")).absolute())
    return building, chosen
