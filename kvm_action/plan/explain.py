"""What is wrong with a plan's data, in sentences: expected, found, and what was probably meant."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kvm_action.plan import schema
from kvm_action.plan.hiding import is_hidden
from kvm_action.plan.problem import KeyPath, Problem, dotted, shown_key
from kvm_action.plan.source import Source
from kvm_action.plan.syntax import is_plain_text

_BOOLEANS: Final = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_TYPES: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "array": "a list",
    "object": "a mapping of names to values",
    "string": "some text",
}
_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "other text",
    dict: "a mapping",
    list: "a list",
}


def problems_of(error: ValidationError, source: Source) -> Iterator[Problem]:
    """One problem for each mistake that pydantic found, except where the source itself has one already."""
    known = {problem.path for problem in source.problems}
    for details in error.errors(include_url=False, include_input=False):
        path = _real(tuple(part for part in details["loc"] if part != "[key]"), source)
        if path not in known:
            yield _problem(details, path, source)


def _real(path: KeyPath, source: Source) -> KeyPath:
    """``path`` without what a short form stands for: ``checks.0.port.port`` is at ``checks.0.port``."""
    while path and path not in source.spans and path[:-1] in source.raw:
        path = path[:-1]
    return path


def _problem(details: ErrorDetails, path: KeyPath, source: Source) -> Problem:
    match details["type"]:
        case "extra_forbidden":
            return _unknown_key(path, source)
        case "missing":
            return _missing(path, source)
        case "rule":
            return Problem(source.span(path), details["msg"], path=path)
        case _:
            wrong = _wrong_key if details["loc"][-1:] == ("[key]",) else _wrong_value
            return wrong(path, source)


def _wrong_key(path: KeyPath, source: Source) -> Problem:
    names = [choice.get("propertyNames", {}) for choice in schema.choices(schema.at(path[:-1]))]
    wanted = next((str(name["patternErrorMessage"]) for name in names if name), "another name")
    span = source.key_spans.get(path, source.span(path))
    return Problem(span, f"expected {wanted}, found {shown_key(str(path[-1]))}", path=path)


def _wrong_value(path: KeyPath, source: Source) -> Problem:
    allowed = schema.choices(schema.at(path))
    if path in source.raw:  # one value: of a short and a long form, the short one was meant
        allowed = [choice for choice in allowed if "properties" not in choice] or allowed
    message = f"expected {_expected(allowed)}, found {_found(path, source)}"
    return Problem(source.span(path), message, _value_hint(path, allowed, source), path)


def _missing(path: KeyPath, source: Source) -> Problem:
    if path == ("provision",):
        path = ("provision", "run")
    node = schema.at(path)
    allowed = schema.choices(node)
    message = f"this key is missing; expected {_expected(allowed)}"
    examples = [example for choice in (node, *allowed) for example in choice.get("examples", ())]
    hint = f"Add {path[-1]}: {examples[0]}" if examples else ""
    return Problem(source.span(path[:-1]), message, hint, path)


def _unknown_key(path: KeyPath, source: Source) -> Problem:
    parent = path[:-1]
    kind = "kind of check" if len(parent) == 2 and parent[0] == "checks" else "key"
    message = f"there is no {kind} {shown_key(str(path[-1]))} here"
    span = source.key_spans.get(path, source.span(parent))
    return Problem(span, message, _meant(path), path)


def _meant(path: KeyPath) -> str:
    if meant := schema.meant(path):
        return f"Did you mean {dotted(meant)}?"
    return f"Known here: {', '.join(schema.keys(schema.at(path[:-1])))}."


def _expected(allowed: list[schema.Schema]) -> str:
    return " or ".join(dict.fromkeys(_phrase(choice) for choice in allowed)) or "something else"


def _phrase(node: schema.Schema) -> str:
    if options := _options(node):
        return f"one of {', '.join(options)}" if len(options) > 1 else options[0]
    if "patternErrorMessage" in node:
        return str(node["patternErrorMessage"])
    if "properties" in node:
        return _mapping_phrase(node)
    limits = f" from {node['minimum']} to {node['maximum']}" if "minimum" in node else ""
    kind = "some text" if isinstance(node.get("type"), list) else _TYPES[node.get("type", "string")]
    return kind + (" with something in it" if node.get("minItems") else limits)


def _mapping_phrase(node: schema.Schema) -> str:
    known = list(node["properties"])
    return f"a mapping ({', '.join(known[:5])}{', …' if len(known) > 5 else ''})"


def _options(node: schema.Schema) -> list[str]:
    return [str(node["const"])] if "const" in node else [str(option) for option in node.get("enum", ())]


def _found(path: KeyPath, source: Source) -> str:
    value = lookup(source.data, path)
    if value is None:
        return "nothing"
    kind = next(name for kind, name in _KINDS.items() if isinstance(value, kind))
    if isinstance(value, (dict, list)):
        return kind if value else f"{kind} with nothing in it"
    if is_hidden(path):
        return f"{kind} (a secret: not shown)"
    text = source.raw.get(path, str(value))
    text = text if len(text) <= 60 else text[:59] + "…"
    if isinstance(value, str):
        return _found_text(text)
    return text if isinstance(value, bool) else f"the number {text}"


def _found_text(text: str) -> str:
    """In quotes where it could be taken for something else than text, or where blanks could be overlooked."""
    if not text.strip():
        return "empty text"
    return text if is_plain_text(text) and text == text.strip() else f'the text "{text}"'


def _value_hint(path: KeyPath, allowed: list[schema.Schema], source: Source) -> str:
    value = lookup(source.data, path)
    if value is None:
        return "Give it a value, or leave the key out."
    if isinstance(value, str):
        return _text_hint(value, allowed, is_quoted=source.span(path).width > len(value))
    raw = source.raw.get(path, "")
    if raw and any(_fits_quoted(raw, choice) for choice in allowed):
        return "Put it in quotes." if is_hidden(path) else f'Put it in quotes: "{raw}".'
    return ""


def _text_hint(value: str, allowed: list[schema.Schema], *, is_quoted: bool) -> str:
    types = {str(choice.get("type")) for choice in allowed}
    if "boolean" in types and value.lower() in _BOOLEANS:
        return f"Write {_BOOLEANS[value.lower()]}{', without quotes' if is_quoted else ''}."
    if "integer" in types and value.isdecimal():
        return "Write it without quotes."
    options = [option for choice in allowed for option in _options(choice)]
    close = get_close_matches(value.lower(), options, n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _fits_quoted(raw: str, node: schema.Schema) -> bool:
    """Would the value do, if it were text?"""
    text = "string" in node.get("type", ()) and "enum" not in node
    return text and bool(re.search(node.get("pattern", ""), raw))


def lookup(data: object, path: Iterable[str | int]) -> object:
    """The value at ``path``, None where there is none."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data
