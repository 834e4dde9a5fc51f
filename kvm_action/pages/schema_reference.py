"""The plan reference, made from the plan's JSON Schema: each key with its type, default and meaning."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kvm_action.pages.markdown import cell, code

Schema = Mapping[str, Any]
_NOTHING: Final[Schema] = {}
_WORDS: Final = {
    "object": "keys and values",
    "string": "text",
    "integer": "number",
    "boolean": "`true`, `false`",
}


@dataclass(frozen=True)
class Key:
    """A key of a plan."""

    path: str
    type: str
    default: str
    words: str
    is_required: bool


def plan_reference(schema: Schema) -> str:
    """Markdown: a section for the plan, and one for each of its parts and checks."""
    return _Reference(schema).text()


class _Reference:
    def __init__(self, schema: Schema) -> None:
        self._parts: Schema = schema.get("$defs", _NOTHING)
        self._schema = schema

    def text(self) -> str:
        sections = [self._section("The plan", self._schema)]
        for name, part in sorted(self._shown.items()):
            sections.append(self._section(name, part))
        return "\n".join(sections)

    @property
    def _shown(self) -> dict[str, Schema]:
        return {name: part for name, part in self._parts.items() if part.get("properties")}

    def _section(self, title: str, part: Schema) -> str:
        rows = [
            f"| {code(key.path)}{' **required**' if key.is_required else ''} | {cell(key.type)} "
            f"| {code(key.default) if key.default else ''} | {cell(key.words)} |"
            for key in self._keys(part)
        ]
        head = "| key | what it takes | default | meaning |\n|---|---|---|---|"
        words = cell(part.get("description", ""))
        return "\n".join([f"### {title}", "", words, "", head, *rows, ""])

    def _keys(self, part: Schema) -> Iterator[Key]:
        required = part.get("required", ())
        for name, value in part.get("properties", _NOTHING).items():
            yield Key(
                path=name,
                type=self._type(value),
                default=self._default(value),
                words=str(value.get("description", "") or self._behind(value).get("description", "")),
                is_required=name in required,
            )

    def _behind(self, node: Schema) -> Schema:
        reference = str(node.get("$ref", ""))
        return self._parts.get(reference.rpartition("/")[2], _NOTHING) if reference else _NOTHING

    def _type(self, node: Schema) -> str:
        if "$ref" in node:
            name = str(node["$ref"]).rpartition("/")[2]
            is_shown = name in self._shown
            return f"[{name}](#{name.lower()})" if is_shown else self._type(self._parts.get(name, _NOTHING))
        if values := node.get("enum") or ([node["const"]] if "const" in node else []):
            return ", ".join(f"`{one}`" for one in values)
        if several := node.get("anyOf") or node.get("oneOf"):
            kinds = dict.fromkeys(self._type(one) for one in several if one.get("type") != "null")
            return " or ".join(kinds)
        if node.get("type") == "array":
            return f"list of {self._type(node.get('items', _NOTHING)) or 'anything'}"
        kind = str(node.get("type", ""))
        return _WORDS.get(kind, kind)

    def _default(self, node: Schema) -> str:
        value = node.get("default")
        if value is None or value in ([], {}):
            return ""
        return str(value).lower() if isinstance(value, bool) else str(value)
