"""What options offer to choose from."""

from collections.abc import Iterator

import click
import pytest

from kvm_action.cli import root


def commands(of: click.Command, context: click.Context, words: str = "") -> Iterator[tuple[str, click.Command]]:
    yield words, of
    for name in of.list_commands(context) if isinstance(of, click.Group) else ():
        found = of.get_command(context, name)
        assert found
        yield from commands(found, context, f"{words} {name}".strip())


CHOICES = [
    pytest.param(option, id=f"{words} {option.opts[0]}")
    for words, command in commands(root, click.Context(root))
    for option in command.params
    if isinstance(option.type, click.Choice)
]


@pytest.mark.parametrize("option", CHOICES)
def test_a_choice_is_written_as_in_a_plan_and_its_default_is_one_of_them(option: click.Parameter) -> None:
    assert isinstance(option.type, click.Choice)
    offered = [option.type.normalize_choice(each, None) for each in option.type.choices]
    assert offered == [each.lower() for each in offered]
    if isinstance(option.default, str):
        assert str(option.default) in option.type.choices


def test_accelerators_can_be_chosen_wherever_a_machine_starts() -> None:
    assert sum("--accel" in param.values[0].opts for param in CHOICES) >= 5
