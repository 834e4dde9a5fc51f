"""Which values of a plan may be secrets, also where the plan is wrong, or no YAML. It shows nothing itself."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from kvm_action.plan import schema
from kvm_action.plan.problem import KeyPath
from kvm_action.plan.source import AGAIN

_KEY: Final = re.compile(r"""([\w-]+)["']?\s*[:=]""")
_BEFORE_A_KEY: Final = " \t-?{[,'\""
_MAY_BE_SECRET: Final = re.compile(
    r"""(\b(?:(?i:\w*(?:password|secret|token|key))\b["']?\s*[:= ]|[A-Z_][A-Z0-9_]+["']?\s*[:=])\s*)(\S.*)"""
)
"""In text that is no YAML: a password, or what looks like a variable of `env`."""


def is_hidden(path: KeyPath) -> bool:
    """Is the single value at ``path`` a secret, or may it be one?

    Below a key that nobody knows it may be, unless that key is nearly one that holds none (``memroy``).
    """
    place: KeyPath | None = ()
    for part in path:
        if place is None or schema.is_secret(place):
            return True
        if part != AGAIN:
            place = _below(place, part)
    return place is None or schema.is_secret(place)


def _below(place: KeyPath, part: str | int) -> KeyPath | None:
    """The known path of ``part`` below ``place``; None when nobody can say what it is."""
    is_list = any("items" in choice for choice in schema.choices(schema.at(place)))
    if isinstance(part, int):
        return (*place, part) if is_list else place
    if is_list:
        place = (*place, 0)
    path = (*place, part)
    known = part in schema.keys(schema.at(place)) or schema.is_secret(path)
    return path if known else schema.meant(path)


def shown_lines(lines: Iterable[str]) -> Iterator[str]:
    """``lines`` of text that is no YAML, with stars behind keys that are not harmless: it may be a secret."""
    shows = True
    for line in lines:
        keys = list(_KEY.finditer(line))
        start = _stars_begin(line, keys, shows=shows)
        shows = keys[-1][1] in _harmless_keys() if keys else shows
        kept = _MAY_BE_SECRET.sub(lambda found: found[1] + "*" * len(found[2]), line[:start])
        yield kept + "*" * (len(line) - start)


def _stars_begin(line: str, keys: Sequence[re.Match[str]], *, shows: bool) -> int:
    """Where in ``line``, whose ``keys`` these are; ``shows``: may the value of the key before it be seen?"""
    before = line[: keys[0].start()] if keys else line
    if not shows and before.strip(_BEFORE_A_KEY):
        return len(line) - len(line.lstrip())
    return next((key.end() for key in keys if key[1] not in _harmless_keys()), len(line))


@cache
def _harmless_keys() -> frozenset[str]:
    """The keys of a plan whose values are shown."""
    parts = (schema.plan_schema(), *schema.plan_schema()["$defs"].values())
    keys = {key: value for part in parts for key, value in part.get("properties", {}).items()}
    return frozenset(key for key, value in keys.items() if not schema.holds_secrets(value))
