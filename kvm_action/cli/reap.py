"""`kvm-e2e reap`: remove what dead runs left behind, by hand."""

from importlib import import_module

import click

from kvm_action.backends.reaping import reap
from kvm_action.errors import HostError
from kvm_action.hypervisor.connection import open_connection
from kvm_action.paths import Home
from kvm_action.units import format_size


@click.command(name="reap")
@click.option("--all", "kept_too", is_flag=True, help="Also end machines that were kept on purpose.")
def command(kept_too: bool) -> None:
    """Remove machines and files of runs that are dead. Every run does this at its start."""
    runs = Home.from_environ().runs
    containers = _reap_containers(kept_too)
    try:
        with open_connection() as connection:
            gone = reap(connection, runs, kept_too=kept_too)
    except HostError as error:
        click.echo(f"machines were not looked at: {error.message}", err=True)
        gone = reap(None, runs, kept_too=kept_too)
    for name in (*gone.domains, *containers):
        click.echo(f"destroyed {name}")
    for name in gone.folders:
        click.echo(f"removed {runs / name}")
    click.echo(f"{format_size(gone.bytes)} freed" if gone or containers else "nothing was left behind")


def _reap_containers(kept_too: bool) -> tuple[str, ...]:
    try:
        names: tuple[str, ...] = import_module("kvm_action.cli.container").reap_here(kept_too=kept_too)
    except HostError as error:
        click.echo(f"containers were not looked at: {error.message}", err=True)
        return ()
    return names
