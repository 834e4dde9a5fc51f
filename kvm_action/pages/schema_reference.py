"""The plan reference, made from the plan's JSON Schema: each key with its type, default and meaning."""

from collections.abc import Iterator, Mapping
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


def plan_reference(schema: Schema) -> str:
    """Markdown: a section for the plan, and one for each part of it, named by the keys that lead there."""
    return _Reference(schema).text()


class _Reference:
    def __init__(self, schema: Schema) -> None:
        self._parts: Schema = schema.get("$defs", _NOTHING)
        self._schema = schema
        self._titles = dict(self._named(schema, ""))

    def text(self) -> str:
        """The plan first, then its parts in the order of its keys."""
        sections = [self._section("All of it", self._schema)]
        sections += [self._section(title, self._parts[name]) for name, title in self._titles.items()]
        return "\n".join(sections)

    def _named(self, node: Schema, path: str) -> Iterator[tuple[str, str]]:
        """The parts that have keys of their own, each with the keys that lead to it."""
        for key, value in self._mapping(node).get("properties", _NOTHING).items():
            for name in _references(value):
                if "properties" in self._mapping(self._parts[name]):
                    title = f"{path} {key}".strip()
                    yield name, title
                    yield from self._named(self._parts[name], title)

    def _mapping(self, node: Schema) -> Schema:
        """The alternative of ``node`` that has keys: many parts have a short form too."""
        if "properties" in node:
            return node
        found: Schema = next((one for one in node.get("anyOf", ()) if "properties" in one), _NOTHING)
        return found

    def _section(self, title: str, part: Schema) -> str:
        mapping = self._mapping(part)
        required = mapping.get("required", ())
        rows = [
            f"| {code(name)}{' **required**' if name in required else ''} | {self._type(value)} "
            f"| {_default(value)} | {cell(self._words(value))} |"
            for name, value in mapping.get("properties", _NOTHING).items()
        ]
        short = [one for one in part.get("anyOf", ()) if "properties" not in one and one.get("type") != "null"]
        lead = [cell(str(mapping.get("description", "")))]
        lead += [f"Short form, {self._type(one)}: {cell(str(one.get('description', '')))}" for one in short]
        head = "| key | what it takes | default | meaning |\n|---|---|---|---|"
        return "\n".join([f"### {title}", "", "\n\n".join(lead), "", head, *rows, ""])

    def _words(self, node: Schema) -> str:
        own = str(node.get("description", ""))
        behind = (self._mapping(self._parts[name]) for name in _references(node))
        return own or next((str(one["description"]) for one in behind if "description" in one), "")

    def _type(self, node: Schema) -> str:
        if "$ref" in node:
            name = str(node["$ref"]).rpartition("/")[2]
            title = self._titles.get(name)
            return f"[{title}](#{title.replace(' ', '-')})" if title else self._type(self._parts[name])
        if values := node.get("enum") or ([node["const"]] if "const" in node else []):
            return ", ".join(f"`{one}`" for one in values)
        if several := node.get("anyOf") or node.get("oneOf"):
            kinds = dict.fromkeys(self._type(one) for one in several if one.get("type") != "null")
            return " or ".join(kinds)
        if node.get("type") == "array":
            return f"list of {self._type(node.get('items', _NOTHING)) or 'anything'}"
        kind = str(node.get("type", ""))
        return _WORDS.get(kind, kind)


def _references(node: Schema) -> Iterator[str]:
    """The names of the parts that ``node`` means, itself or as the items of a list."""
    if "$ref" in node:
        yield str(node["$ref"]).rpartition("/")[2]
    for one in (*node.get("anyOf", ()), node.get("items", _NOTHING)):
        yield from _references(one) if one else ()


def _default(node: Schema) -> str:
    value = node.get("default")
    if value is None or value in ([], {}, ""):
        return ""
    if isinstance(value, list):
        return code(f"[{', '.join(map(str, value))}]")
    return code(str(value).lower() if isinstance(value, bool) else str(value))
