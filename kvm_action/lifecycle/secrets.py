"""Which texts of a plan are secrets: they are masked in every log, report and message."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kvm_action.output import Mask
from kvm_action.plan.model import Plan

NO_SECRET: Final = re.compile(r"DEBIAN_FRONTEND|LANG(UAGE)?|LC_\w+|TZ|TERM|PATH|HOME|USER|SHELL|CI|DEBUG|VERBOSE")
"""Variables whose values are known to be none; hiding `noninteractive` would only make logs unreadable."""


def secrets_of(plan: Plan) -> list[str]:
    """The values of `provision.env` and every password in the plan."""
    named = [value for name, value in plan.provision.env.items() if not NO_SECRET.fullmatch(name)]
    return [secret.get_secret_value() for secret in (*named, *_passwords(plan))]


def hide_in(files: Iterable[Path], mask: Mask) -> None:
    """Take secrets out of files that the guest filled: sudo writes commands and variables into its journal."""
    for file in files:
        try:
            found = file.read_bytes()
            if (hidden := mask.hide(found)) != found:
                file.write_bytes(hidden)
        except OSError:  # better none than one that tells
            file.unlink(missing_ok=True)


def _passwords(plan: Plan) -> Iterator[SecretStr]:
    for part in (plan.user, *plan.checks):
        for name in type(part).model_fields:
            if isinstance(value := getattr(part, name), SecretStr):
                yield value
