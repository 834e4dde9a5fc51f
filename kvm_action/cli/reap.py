"""`kvm-e2e reap`: remove what dead runs left behind, by hand."""

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
    try:
        with open_connection() as connection:
            gone = reap(connection, runs, kept_too=kept_too)
    except HostError as error:
        click.echo(f"machines were not looked at: {error.message}", err=True)
        gone = reap(None, runs, kept_too=kept_too)
    for name in gone.domains:
        click.echo(f"destroyed {name}")
    for name in gone.folders:
        click.echo(f"removed {runs / name}")
    click.echo(f"{format_size(gone.bytes)} freed" if gone else "nothing was left behind")
