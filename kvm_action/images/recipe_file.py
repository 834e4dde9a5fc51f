"""A recipe of the user's own as a YAML file, so that it can be kept with the plan that needs its image."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from kvm_action.errors import PlanError
from kvm_action.images.model import Firmware
from kvm_action.images.recipes import RECIPES, Recipe, Tuning, read_script, tuned
from kvm_action.plan.load import MAX_BYTES
from kvm_action.plan.problem import KeyPath, Problem, SourceError, Span
from kvm_action.plan.render import invalid_plan
from kvm_action.plan.source import Source, parse
from kvm_action.units import parse_size

_SMALLEST: Final = "The smallest recipe is: from: debian-13"


@dataclass(frozen=True)
class Named:
    """A recipe, and what its image is to be called."""

    name: str
    recipe: Recipe


def is_recipe_file(text: str) -> bool:
    """Is this the path of a recipe, rather than the name of one?"""
    return text.endswith((".yml", ".yaml"))


def load_recipe(path: Path) -> Named:
    """The recipe in ``path``. Raises PlanError, which points at the first mistake."""
    text = _read(path)
    try:
        source = parse(text)
    except SourceError as error:
        raise invalid_plan(path, text, Source(problems=[error.problem]), has_secrets=False) from error
    values = _values(source)
    if source.problems:
        source.problems = source.problems[:1]
        raise invalid_plan(path, text, source, has_secrets=False)
    script = read_script(path.parent / values["script"]) if "script" in values else None
    tuning = Tuning(
        packages=tuple(values.get("packages", ())),
        disk_bytes=values.get("size"),
        firmware=values.get("firmware"),
        script=script,
    )
    return Named(values.get("name", path.stem), tuned(values["from"], tuning))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanError(f"the recipe {path} cannot be read: {error.strerror}", _SMALLEST) from error
    if len(data) > MAX_BYTES:
        raise PlanError(f"{path} is larger than 1 MiB, which no recipe is", "Is this the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"the recipe {path} is not UTF-8 text", _SMALLEST) from error


def _values(source: Source) -> dict[str, Any]:
    """What the keys mean; mistakes become ``source.problems``."""
    data, values = source.data, dict[str, Any]()
    if not isinstance(data, dict):
        source.problems.append(Problem(Span(1, 1), "this is no recipe: it is no mapping of keys", _SMALLEST))
        return values
    for key, value in data.items():
        place: KeyPath = (key,)
        if key not in _KEYS:
            span = source.key_spans.get(place, source.span(place))
            near = get_close_matches(str(key), _KEYS, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(_KEYS)}."
            source.problems.append(Problem(span, f"there is no key {key}", hint))
            continue
        try:
            values[key] = _KEYS[key](value)
        except ValueError as error:
            source.problems.append(Problem(source.span(place), str(error), path=place))
    if "from" not in data:
        source.problems.append(Problem(Span(1, 1), "the recipe does not say what it begins with", _SMALLEST))
    return values


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("expected some text")
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("expected a list of names")
    return [_text(each) for each in value]


def _size(value: object) -> int:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise ValueError("expected a size, such as 8GiB")
    return parse_size(str(value))


def _firmware(value: object) -> Firmware:
    if value not in list(Firmware):
        raise ValueError("expected bios or uefi")
    return Firmware(str(value))


def _beginning(value: object) -> Recipe:
    if not isinstance(value, str) or value not in RECIPES:
        raise ValueError(f"expected one of: {', '.join(RECIPES)}")
    return RECIPES[value]


_KEYS: Final[dict[str, Callable[[object], Any]]] = {
    "from": _beginning,
    "name": _text,
    "packages": _texts,
    "size": _size,
    "firmware": _firmware,
    "script": _text,
}
