"""``--set machine.memory=8GiB``: replaces values of a source before it is checked. It knows no plan."""

import re
from collections.abc import Callable
from typing import Final

from ruamel.yaml.nodes import Node, ScalarNode

from kvm_action.plan.problem import KeyPath, Problem, SourceError, Span, dotted
from kvm_action.plan.source import Reader, Source
from kvm_action.plan.syntax import compose, plain_scalar

_HINT: Final = "Write it as --set machine.memory=8GiB; an item of a list as --set files.0.to=/opt/app."
_KEY: Final = re.compile(r"[\w.-]*")
_STRUCTURED: Final = ("[", "{", '"', "'")


Judge = Callable[[KeyPath], bool]


def override(source: Source, argument: str, *, is_text: Judge, is_secret: Judge) -> None:
    """Put the value of ``argument`` (``key.path=value``) in its place; a mistake goes to ``source.problems``.

    A secret is text as it stands, quotes too. Other text is so as well, ``0123`` and ``true`` too, but without the
    quotes around it. Elsewhere the value is YAML when it begins with a bracket or a quote, else one plain scalar.
    """
    key, separator, value = argument.partition("=")
    span = Span(0, 0, argument=_shown(key))
    names = key.split(".")
    try:
        if not separator or not all(names):
            raise _wrong("expected a key path and a value, with = between them")
        path = _resolve(source, names)
        source.forget(path)
        source.key_spans[path] = span
        stands = is_text(path) and (is_secret(path) or not _is_quoted(value))
        node = _text(value) if stands and value else _node(value)
        source.data = _put(source.data, path, Reader(source, span).read(node, path))
    except SourceError as error:
        source.problems.append(Problem(span, error.problem.message, error.problem.hint))


def _shown(key: str) -> str:
    """``key`` as far as it can be one: what follows may be a secret that somebody wrote without the =."""
    found = _KEY.match(key)
    return (found[0] if found else "") or "="


def _resolve(source: Source, names: list[str]) -> KeyPath:
    """The path that ``names`` mean in the data: a number is an index where a list is, and else a key."""
    path, node = KeyPath(), source.data
    for name in names:
        if isinstance(node, list):
            if not name.isdecimal() or int(name) >= len(node):
                raise _wrong(f"{dotted(path)} is a list of {len(node)}: there is no item {name}")
            path, node = (*path, int(name)), node[int(name)]
        elif isinstance(node, dict):
            path, node = (*path, name), node.get(name)
        elif node is None and not name.isdecimal():
            path = (*path, name)
        else:
            raise _wrong(f"{dotted(path)} is {'empty' if node is None else 'a single value'}: it has no {name}")
    return path


def _put(data: object, path: KeyPath, value: object) -> object:
    """``data`` with ``value`` at ``path``; mappings are made where nothing is."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(part, int):
        data[part] = _put(data[part], rest, value)
        return data
    mapping = data if isinstance(data, dict) else {}
    mapping[part] = _put(mapping.get(part), rest, value)
    return mapping


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


def _text(value: str) -> Node:
    return ScalarNode("tag:yaml.org,2002:str", value)


def _node(value: str) -> Node:
    node = compose(value) if value.startswith(_STRUCTURED) else None
    return node or plain_scalar(value)


def _wrong(message: str) -> SourceError:
    return SourceError(Problem(Span(0, 0), message, _HINT))
