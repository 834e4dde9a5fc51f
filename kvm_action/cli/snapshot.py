"""`kvm-e2e snapshot`: snapshots of a kept machine, under the names that virsh shows too."""

import json
from collections.abc import Mapping, Sequence

import click

from kvm_action.backends.going_back import go_back
from kvm_action.backends.kept import changing, opened
from kvm_action.cli.groups import WholeSentences
from kvm_action.cli.tables import columns
from kvm_action.cli.vm import NAME_HELP, chosen
from kvm_action.hypervisor.snapshots import Snapshot
from kvm_action.interruption import in_one_piece
from kvm_action.results import SnapshotInfo
from kvm_action.text import plain_line
from kvm_action.units import format_seconds, format_size


@click.group(cls=WholeSentences, epilog=NAME_HELP)
def command() -> None:
    """Snapshots of a kept machine: list, create, revert, delete."""


@command.command("list")
@click.argument("name", default="last")
@click.option("--tree", is_flag=True, help="Show which came from which.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def list_snapshots(name: str, *, tree: bool, as_json: bool) -> None:
    """Show the snapshots of the kept machine NAME (default: last)."""
    with opened(chosen(name)) as machine:
        found, records = machine.snapshots.listed(), machine.snapshots.records()
    if as_json:
        click.echo(json.dumps([facts_of(each, records) for each in found], indent=2))
    elif tree:
        click.echo("\n".join(tree_of(found)))
    else:
        click.echo(columns(rows(found, records)) if found else "no snapshots")


@command.command()
@click.argument("name")
@click.argument("snapshot")
def create(name: str, snapshot: str) -> None:
    """Take a snapshot of the kept machine NAME, disk and memory, while it runs."""
    machine = chosen(name)
    with in_one_piece(), changing(machine), opened(machine) as there:
        info = there.snapshots.take(snapshot, created_by="kvm-e2e snapshot create")
    click.echo(f"{info.name}: {format_seconds(info.seconds)}; {info.detail}")


@command.command()
@click.argument("name")
@click.argument("snapshot")
def revert(name: str, snapshot: str) -> None:
    """Let the kept machine NAME go back to a snapshot, and prove that it did."""
    machine = chosen(name)
    with in_one_piece(), changing(machine), opened(machine) as there:
        went = go_back(there, snapshot)
    click.echo(f"went back to {snapshot} in {format_seconds(went.seconds)}: {'; '.join(went.proofs)}")


@command.command()
@click.argument("name")
@click.argument("snapshot")
def delete(name: str, snapshot: str) -> None:
    """Delete a snapshot of the kept machine NAME; those that came from it stay."""
    machine = chosen(name)
    with changing(machine), opened(machine) as there:
        there.snapshots.delete(snapshot)
    click.echo(f"deleted {snapshot}")


def facts_of(snapshot: Snapshot, records: Mapping[str, SnapshotInfo]) -> dict[str, object]:
    """A snapshot as plain values; what only we know is empty for one that somebody else took."""
    info = records.get(snapshot.name)
    return {
        "name": snapshot.name,
        "parent": snapshot.parent,
        "created": snapshot.created.isoformat(),
        "created_by": info.created_by if info else "",
        "state": snapshot.state,
        "method": snapshot.method,
        "memory": snapshot.memory,
        "current": snapshot.is_current,
        "bytes": info.bytes if info else None,
        "seconds": info.seconds if info else None,
        "verified": info.verified if info else False,
        "detail": info.detail if info else "",
    }


def rows(found: Sequence[Snapshot], records: Mapping[str, SnapshotInfo]) -> list[tuple[str, ...]]:
    """A table of snapshots; the star is where the machine stands."""
    table: list[tuple[str, ...]] = [
        ("", "NAME", "PARENT", "CREATED (UTC)", "STATE", "SIZE", "TOOK", "BY", "VERIFIED")
    ]
    for each in found:
        info = records.get(each.name)
        own = _own(info) if info else ("", "", "others", "no")
        mark, parent = "*" if each.is_current else "", each.parent or ""
        created = f"{each.created:%Y-%m-%d %H:%M:%S}"
        table.append((mark, plain_line(each.name), plain_line(parent), created, each.state, *own))
    return table


def _own(info: SnapshotInfo) -> tuple[str, ...]:
    seconds = format_seconds(info.seconds)
    return (format_size(info.bytes), seconds, info.created_by, "yes" if info.verified else "no")


def tree_of(found: Sequence[Snapshot], parent: str | None = None, indent: str = "") -> list[str]:
    """The snapshots as a tree, children below their parent."""
    lines = []
    children = [each for each in found if each.parent == parent]
    for number, each in enumerate(children):
        is_last = number == len(children) - 1
        branch, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        here = " *" if each.is_current else ""
        lines.append(f"{indent}{branch if parent is not None else ''}{plain_line(each.name)}{here}")
        lines += tree_of(found, each.name, indent + (below if parent is not None else ""))
    return lines
