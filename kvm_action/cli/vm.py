"""`kvm-e2e vm`: machines that were kept after their run."""

import json
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from socket import gethostname
from typing import Final

import click

from kvm_action import proc
from kvm_action.backends.kept import GoneError, Kept, choose, destroy, kept_machines, opened, reach
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.tables import columns
from kvm_action.errors import E2EError, HostError
from kvm_action.hypervisor.connection import default_uri
from kvm_action.paths import Home
from kvm_action.ssh.access import HOST
from kvm_action.text import plain_line

SCREEN_OPEN: Final = timedelta(hours=1)
NAME_HELP: Final = "NAME is a run's id, its unique beginning, or `last`."


@click.group(cls=WholeSentences, epilog=NAME_HELP)
def command() -> None:
    """Machines that were kept: list, log in, look at, end."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def list_machines(*, as_json: bool) -> None:
    """Show the machines of this home that were kept."""
    facts = [facts_of(machine) for machine in kept_machines(runs())]
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    elif facts:
        click.echo(columns([("RUN", "STATE", "KEPT UNTIL", "PLAN", "IMAGE"), *map(_row, facts)]))
    else:
        click.echo("no machine was kept; `kvm-e2e run PLAN --keep on-failure` keeps one that failed")


@command.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name")
@click.argument("words", metavar="[COMMAND]...", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, words: tuple[str, ...]) -> None:
    """Log in to a kept machine, or run COMMAND in it; the exit status is the command's."""
    machine = chosen(name)
    with opened(machine) as there:
        reach(there)
        config = machine.ssh_config
    if config is None:
        raise HostError(
            f"the run {machine.run} never logged in to its machine", f"kvm-e2e vm console {machine.run}"
        )
    proc.become(["ssh", "-F", config, HOST, *words], "openssh-client")


@command.command()
@click.argument("name")
def console(name: str) -> None:
    """Attach to the serial console of a kept machine; Ctrl+] leaves it."""
    machine = chosen(name)
    with opened(machine) as there:
        uri = there.connection.uri
    click.echo("press Enter for a prompt; Ctrl+] leaves the console, the machine runs on", err=True)
    proc.become(["virsh", "--connect", uri, "console", machine.domain, "--force"], "libvirt-clients")


@command.command()
@click.argument("name")
def view(name: str) -> None:
    """Open the screen of a kept machine to VNC, on 127.0.0.1 only, with a password for one hour."""
    with opened(chosen(name)) as there:
        password, until = secrets.token_hex(4), datetime.now(UTC) + SCREEN_OPEN
        port = there.domain.open_screen(password, until)
    click.echo("\n".join(how_to_view(port, password, until)))


@command.command("destroy")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All kept machines of this home.")
def destroy_machines(names: tuple[str, ...], *, everything: bool) -> None:
    """End kept machines and remove their files."""
    if not names and not everything:
        raise click.UsageError("say which machine to end, or --all")
    if names and everything:
        raise click.UsageError("--all ends every machine, so no name goes with it: give one or the other")
    machines = kept_machines(runs())
    wanted = machines if everything else list(dict.fromkeys(choose(machines, name) for name in names))
    with ExitStack() as failures:
        for machine in wanted:
            _destroy(machine, failures)
    if not wanted:
        click.echo("no machine was kept")


def _destroy(machine: Kept, failures: ExitStack) -> None:
    """One that cannot be ended must not save the others: its error is raised after them."""
    try:
        destroy(machine)
    except E2EError as error:
        failures.callback(_raise, error)
    else:
        click.echo(f"destroyed {machine.domain}")


def _raise(error: E2EError) -> None:
    raise error


def runs() -> Path:
    """Where kept machines have their folders."""
    return Home.from_environ().runs


def chosen(name: str) -> Kept:
    """The kept machine of that name. Raises PlanError."""
    return choose(kept_machines(runs()), name)


def facts_of(machine: Kept) -> dict[str, str]:
    """A kept machine as plain values."""
    return {
        "run": machine.run,
        "state": state_of(machine),
        "kept_until": machine.lease.kept_until.isoformat(timespec="seconds") if machine.lease.kept_until else "",
        "plan": machine.record.plan,
        "image": machine.record.image,
        "domain": machine.domain,
        "uri": machine.uri or default_uri(),
        "folder": str(machine.folder),
        "report": machine.record.out,
    }


def state_of(machine: Kept) -> str:
    """``running``, or why it is not."""
    try:
        with opened(machine) as there:
            return "running" if there.domain.is_running else "stopped"
    except GoneError:
        return "gone"
    except HostError:
        return "unknown"


def how_to_view(port: int, password: str, until: datetime) -> Sequence[str]:
    """What to type, here and from another host."""
    return (
        f"VNC at 127.0.0.1:{port}, password {password}, until {until:%H:%M} UTC",
        f"  here:            vncviewer 127.0.0.1::{port}",
        f"  from elsewhere:  ssh -N -L {port}:127.0.0.1:{port} {getuser()}@{gethostname()}",
        f"                   and then there: vncviewer 127.0.0.1::{port}",
    )


def _row(facts: dict[str, str]) -> tuple[str, ...]:
    until = facts["kept_until"].replace("T", " ").removesuffix("+00:00") + " UTC"
    return (facts["run"], facts["state"], until, plain_line(facts["plan"]), plain_line(facts["image"]))
