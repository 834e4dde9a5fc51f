"""The plan's JSON Schema, for editors and for `explain`: every short form, every default as one would write it."""

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kvm_action.plan.model import Plan
from kvm_action.plan.part import Part
from kvm_action.plan.problem import KeyPath
from kvm_action.plan.scalars import write_size
from kvm_action.units import format_duration

Schema = Mapping[str, Any]
_ANYTHING: Final[Schema] = {}


class _Generator(GenerateJsonSchema):
    """Defaults as they are written in a plan (``2GiB``, ``30m``), and no titles that only repeat a key."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        """Never: the key says it."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema of a field that may be left out."""
        made, default = super().default_schema(schema), schema.get("default")
        if isinstance(default, timedelta):
            made["default"] = format_duration(default)
        elif type(default) is int and made.get("type") == "string":
            made["default"] = write_size(default)
        elif isinstance(default, Part) or default in ("", None):
            made.pop("default", None)  # the parts have their own defaults; nothing is no value to offer
        return made


@cache
def plan_schema() -> JsonSchemaValue:
    """JSON Schema (draft 2020-12) of a plan. It cannot state ranges of sizes, nor rules about several keys."""
    made = Plan.model_json_schema(schema_generator=_Generator)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "kvm-e2e plan, version 1"}
    return {**head, **{key: value for key, value in made.items() if key != "title"}}


def at(path: KeyPath) -> Schema:
    """The part of the schema that describes the value at ``path``; empty when it says nothing about it."""
    node: Schema = plan_schema()
    for part in path:
        node = next((found for choice in choices(node) if (found := _below(choice, part))), _ANYTHING)
    return node


def choices(node: Schema) -> list[Schema]:
    """The alternatives that ``node`` allows, references followed, null left out."""
    if "$ref" in node:
        target = plan_schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return choices(target)
    if "anyOf" in node:
        return [found for choice in node["anyOf"] for found in choices(choice)]
    return [] if node.get("type") == "null" else [node]


def keys(node: Schema) -> list[str]:
    """The keys of the mapping that ``node`` allows."""
    return [key for choice in choices(node) for key in choice.get("properties", ())]


def meant(path: KeyPath) -> KeyPath | None:
    """The path that a key nobody knows was probably to have: spelt right, one floor deeper, or at the top."""
    parent, key = path[:-1], str(path[-1])
    if close := get_close_matches(key, keys(at(parent)), n=1):
        return (*parent, close[0])
    top = keys(at(()))
    below = (part for part in top if at((part,)).get("type") != "array" and key in keys(at((part,))))
    if (part := next(below, None)) is not None:
        return (part, key)
    return (key,) if key in top else None


def wants_text(path: KeyPath) -> bool:
    """Has the value at ``path`` to be text, so that nothing else can be meant by what stands there?"""
    found = choices(at(path))
    return bool(found) and all("string" in str(choice.get("type")) for choice in found)


def is_secret(path: KeyPath) -> bool:
    """Is the single value at ``path`` never to be shown, because of its own key or of one around it?"""
    places = (at(path[:length]) for length in range(1, len(path) + 1))
    return any(holds_secrets(place) for place in places)


def holds_secrets(node: Schema) -> bool:
    """Is what ``node`` describes a secret, or a mapping of nothing but secrets?"""
    inner = [below for choice in choices(node) for below in choice.get("patternProperties", _ANYTHING).values()]
    return any(choice.get("writeOnly") for one in (node, *inner) for choice in choices(one))


def _below(node: Schema, part: str | int) -> Schema | None:
    if isinstance(part, int):
        items: Schema | None = node.get("items")
        return items
    properties: Schema = node.get("properties", _ANYTHING)
    if part in properties:
        found: Schema = properties[part]
        return found
    patterns: Schema = node.get("patternProperties", _ANYTHING)
    return next(iter(patterns.values()), None)
