"""`kvm-e2e reap`: remove what dead runs left behind, by hand."""

from importlib import import_module
from pathlib import Path

import click

from kvm_action.backends.reaping import Reaped, reap
from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import default_uri, open_connection
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.runs import kept_leases, size_of
from kvm_action.units import format_size
from kvm_action.work_folder import abandoned, remove_abandoned


@click.command(name="reap")
@click.option("--all", "kept_too", is_flag=True, help="Also end machines of this home that were kept on purpose.")
def command(kept_too: bool) -> None:
    """Remove machines and files of runs that are dead. Every run does this at its start."""
    home = Home.from_environ()
    runs = home.runs
    containers = _reap_containers(kept_too)
    daemons = {default_uri(), *(lease.uri for lease in kept_leases(runs) if lease.uri)}
    gone = [_reap_at(uri, runs, kept_too=kept_too) for uri in sorted(daemons)]
    for each in gone:
        _tell(each, runs)
    half_made, bytes_of_images = _reap_images(Store(home.images))
    freed = format_size(sum(each.bytes for each in gone) + bytes_of_images)
    click.echo(f"{freed} freed" if any(gone) or containers or half_made else "nothing was left behind")


def _reap_at(uri: str, runs: Path, *, kept_too: bool) -> Reaped:
    try:
        with open_connection(uri) as connection:
            return reap(connection, runs, kept_too=kept_too)
    except HostError as error:
        click.echo(f"machines were not looked at: {error.message}", err=True)
        return reap(None, runs, kept_too=kept_too)


def _tell(gone: Reaped, runs: Path) -> None:
    for name in gone.domains:
        click.echo(f"destroyed {name}")
    for folder in (*(runs / name for name in gone.folders), *gone.scratch):
        click.echo(f"removed {folder}")


def _reap_images(store: Store) -> tuple[list[Path], int]:
    """What killed builders of images left in the store, and how many bytes that was."""
    size = sum(size_of(folder) for folder in abandoned(store.work))
    removed = remove_abandoned(store.work)
    for folder in removed:
        click.echo(f"removed {folder}")
    return removed, size


def _reap_containers(kept_too: bool) -> tuple[str, ...]:
    try:
        names: tuple[str, ...] = import_module("kvm_action.cli.container").reap_here(kept_too=kept_too)
    except HostError as error:
        click.echo(f"containers were not looked at: {error.message}", err=True)
        return ()
    for name in names:
        click.echo(f"destroyed {name}")
    return names
