"""Option types that several commands share."""

from datetime import timedelta
from enum import StrEnum

import click

from kvm_action.units import parse_duration


class Duration(click.ParamType[timedelta]):
    """A duration of a second or more, such as ``30m`` or ``1h30m``."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it, or say what a duration looks like."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a duration of a second or more; write 90s, 30m or 1h30m", param, ctx)


DURATION = Duration()


def choice(kind: type[StrEnum]) -> click.Choice[str]:
    """One of the values of ``kind``; click itself would ask for the names in the code, in capitals."""
    return click.Choice([member.value for member in kind])
