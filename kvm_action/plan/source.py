"""YAML text as plain data that remembers where each value stood. It knows no plan: any mapping will do."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kvm_action.plan.problem import KeyPath, Problem, SourceError, Span
from kvm_action.plan.syntax import compose

T = TypeVar("T")
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 50
_TO_LINE_END: Final = 1 << 20
AGAIN: Final = -1
"""In the path of a value: it stands below a key that was there already."""
NO_KEY: Final = "…"
"""In a path, for what stands where a key does."""
_COMMA: Final = "Write KEY: VALUE; text with a comma has to stand in quotes here."

_INT: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_TAG: Final = "tag:yaml.org,2002:"
_READ: Final = ("str", "int", "float", "bool", "null", "timestamp", "value")
_WORDS: Final = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


@dataclass
class Source:
    """Data and where it stood. ``raw`` has the text of scalars, as it was written."""

    data: object = None
    spans: dict[KeyPath, Span] = field(default_factory=dict)
    key_spans: dict[KeyPath, Span] = field(default_factory=dict)
    raw: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def span(self, path: KeyPath) -> Span:
        """The place of the value at ``path``, or of the nearest value around it."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans.get(path, Span(1, 1))

    def forget(self, path: KeyPath) -> None:
        """Drop everything that is known of ``path`` and below it."""
        self.spans = _outside(path, self.spans)
        self.key_spans = _outside(path, self.key_spans)
        self.raw = _outside(path, self.raw)
        self.problems = [problem for problem in self.problems if problem.path[: len(path)] != path]


def _outside(path: KeyPath, known: dict[KeyPath, T]) -> dict[KeyPath, T]:
    return {inner: value for inner, value in known.items() if inner[: len(path)] != path}


def parse(text: str) -> Source:
    """Read one YAML document. Raises SourceError for what is no YAML; other mistakes are in ``problems``."""
    node = compose(text)
    if node is None:
        return Source()
    reader = Reader(Source())
    reader.source.data = reader.read(node, ())
    return reader.source


class Reader:
    """Turns nodes into data. Aliases are followed, within limits; tags and merge keys are not."""

    def __init__(self, source: Source, place: Span | None = None) -> None:
        """``place``: the place of all values, when they do not come from the file."""
        self.source = source
        self._place = place
        self._count = 0
        self._nodes: set[int] = set()

    def read(self, node: Node, path: KeyPath, at: Span | None = None) -> object:
        """The data of ``node``, which stands at ``path``; ``at`` is its place if it has none of its own."""
        self._count += 1
        self._nodes.add(id(node))
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise SourceError(Problem(self._span(node), self._too_large(len(path))))
        self.source.spans[path] = at if at and _is_nothing(node) else self._span(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _too_large(self, depth: int) -> str:
        if len(self._nodes) < self._count:
            return "the plan is too large: its aliases (*name) expand to more than it could need"
        too_much = f"levels: {MAX_DEPTH}" if depth > MAX_DEPTH else f"values: {MAX_VALUES:,}"
        return f"the plan is too large: it has more than the most that is read, {too_much}"

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        for key, value, span in self._keys(node, path):
            if key in data:
                self.read(value, (*path, key, AGAIN))  # remembered, so that a secret in it can be hidden
                first = self.source.key_spans[(*path, key)]
                self._problem(
                    span, "this key is here twice", f"The first one is on line {first.line}.", (*path, key)
                )
                continue
            self.source.key_spans[(*path, key)] = span
            data[key] = self.read(value, (*path, key), at=span)
        return data

    def _keys(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Node, Span]]:
        for key, value in node.value:
            span = self._span(key)
            if key.tag == _TAG + "merge":
                self._problem(span, "merge keys (<<) are not read", "Write the keys out.", path)
            elif not isinstance(key, ScalarNode):
                self._problem(span, "a key has to be text", "", path)
            elif not _is_text(key.value):
                self._problem(span, "this key is no valid Unicode text", "", path)
            elif node.flow_style and _is_nothing(value) and key.end_mark.index == value.start_mark.index:
                self._rest_of_a_value(span, (*path, NO_KEY))
            else:
                yield str(key.value), value, span

    def _rest_of_a_value(self, span: Span, path: KeyPath) -> None:
        """In ``{password: some,thing}`` YAML sees a key ``thing``: it may be half a secret, and is not named."""
        self.source.spans[path], self.source.raw[path] = span, ""
        self._problem(span, "this is neither a key with a value nor one value", _COMMA, path)

    def _scalar(self, node: Node, path: KeyPath) -> object:
        text, kind = str(node.value), str(node.tag).removeprefix(_TAG)
        self.source.raw[path] = text
        if kind not in _READ:
            hint = "Leave it out; text that begins with an exclamation mark has to stand in quotes."
            self._problem(self._span(node), "this tag is not read", hint, path)  # not named: it may be a password
            return text
        if not _is_text(text):
            self._problem(self._span(node), "this is no valid Unicode text", "", path)
            return ""
        if kind == "int":
            return self._number(node, text, path)
        return _value(kind, text)

    def _number(self, node: Node, text: str, path: KeyPath) -> object:
        if _INT.fullmatch(text):
            return int(text)
        self._problem(
            self._span(node),
            "programs do not agree on which number this is",  # not said which: it may be a secret
            "Put it in quotes; or, if a number is meant, write plain digits.",
            path,
        )
        return text

    def _problem(self, span: Span, message: str, hint: str, path: KeyPath) -> None:
        self.source.problems.append(Problem(span, message, hint, path))

    def _span(self, node: Node) -> Span:
        if self._place:
            return self._place
        start, end = node.start_mark, node.end_mark
        if end.line == start.line:
            return Span(start.line + 1, start.column + 1, max(end.column - start.column, 1))
        return Span(start.line + 1, start.column + 1, _TO_LINE_END, end=(end.line + 1, end.column))


def _is_nothing(node: Node) -> bool:
    """Is there not even an anchor?"""
    return isinstance(node, ScalarNode) and node.start_mark is not None and _width(node) == 0 and not node.value


def _width(node: Node) -> int:
    return int(node.end_mark.index - node.start_mark.index)


def _value(kind: str, text: str) -> object:
    """A date and the like stay text."""
    match kind:
        case "null":
            return None
        case "bool":
            return _WORDS.get(text.lower(), text)
        case "float":
            return _float(text)
        case _:
            return text


def _float(text: str) -> float | str:
    """A number, if JSON has it; ``.inf`` and its kin stay text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _is_text(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
