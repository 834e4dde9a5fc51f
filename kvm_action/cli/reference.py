"""What the command line says of itself, as plain values: for the site's reference of commands."""

from collections.abc import Iterator
from inspect import cleandoc

import click

from kvm_action.pages.command_reference import Command, Option


def commands_of(root: click.Command, name: str = "kvm-e2e") -> Iterator[Command]:
    """``root`` and all below it, in the order of ``--help``."""
    yield from _below(root, click.Context(root, info_name=name))


def _below(command: click.Command, context: click.Context) -> Iterator[Command]:
    if not isinstance(command, click.Group):
        yield _described(command, context)
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            yield from _below(child, click.Context(child, info_name=name, parent=context))


def _described(command: click.Command, context: click.Context) -> Command:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = (parameter.get_help_record(context) for parameter in command.params)
    return Command(
        path=context.command_path,
        usage=usage,
        words=cleandoc(command.help or ""),
        options=tuple(Option(names=record[0], words=record[1]) for record in records if record),
    )
