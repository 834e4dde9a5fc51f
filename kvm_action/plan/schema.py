"""The plan's JSON Schema, for editors and for `explain`: every short form, every default as one would write it."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kvm_action.plan.model import Plan
from kvm_action.plan.part import Part
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


def at(path: tuple[str | int, ...]) -> Schema:
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


def is_secret(path: tuple[str | int, ...]) -> bool:
    """Is the value at ``path``, or one around it, never to be shown?"""
    places = (at(path[:length]) for length in range(1, len(path) + 1))
    return any(choice.get("writeOnly") for place in places for choice in choices(place))


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
