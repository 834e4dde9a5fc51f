"""YAML text as nodes, and the parser's complaints in words that help. The only importer of ruamel's parser."""

import re
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from kvm_action.plan.problem import Problem, SourceError, Span


def compose(text: str) -> Node | None:
    """The YAML nodes of ``text``, None when there are none. Raises SourceError."""
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        raise SourceError(_syntax(error)) from error
    except ReaderError as error:
        raise SourceError(_unprintable(text, error.position)) from error
    except RecursionError as error:
        raise SourceError(Problem(Span(1, 1), "the YAML is nested too deeply")) from error
    except (YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        # ruamel's scanner and composer let such errors escape on garbage
        raise SourceError(Problem(Span(1, 1), f"this is not YAML: {error}")) from error
    return node


def plain_scalar(text: str) -> Node:
    """The node of ``text`` as one value without quotes, whatever characters are in it."""
    tag = YAML(typ="safe", pure=True).resolver.resolve(ScalarNode, text, (True, False))
    return ScalarNode(tag, text)


def is_plain_text(text: str) -> bool:
    """Would ``text`` be text, if it stood in YAML without quotes?"""
    return str(plain_scalar(text).tag) == "tag:yaml.org,2002:str"


def _unprintable(text: str, position: int) -> Problem:
    before = text[:position]
    span = Span(before.count("\n") + 1, position - before.rfind("\n"))
    code = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
    return Problem(span, f"the control character {code} cannot stand in YAML", "Delete it.")


def _syntax(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    span = Span(mark.line + 1, mark.column + 1) if mark else Span(1, 1)
    detail = _ALIAS.sub("alias", " ".join(str(error.problem or error.context or error).split()))
    context = f" {error.context}" if error.context and error.problem else ""
    return Problem(span, f"this is not YAML: {detail}{context}", _syntax_hint(detail))


_ALIAS: Final = re.compile("alias '.*'")
"""Text that begins with an asterisk may be a password."""
_SYNTAX_HINTS: Final = {
    "'\\t'": "Indent with spaces: YAML allows no tabs there.",
    "mapping values are not allowed": 'Text that contains ": " has to stand in quotes.',
    "cannot start any token": "Text that begins with this character has to stand in quotes.",
    "another document": "A plan is one document: delete the second ---.",
    "undefined alias": "An asterisk begins an alias; text such as * has to stand in quotes.",
    "expected <block end>": "Look at the indentation of this line and the one before.",
    "stream end": "A bracket or a quote is not closed.",
    "end of stream": "A bracket or a quote is not closed.",
    "expected ',' or": "A comma is missing, or a bracket is not closed.",
}


def _syntax_hint(detail: str) -> str:
    return next((hint for part, hint in _SYNTAX_HINTS.items() if part in detail), "")
