"""The action reference, made from action.yml: every input and output with its sentence and default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from kvm_action.pages.markdown import cell, code

_NOTHING: Final[Mapping[str, Any]] = {}


def action_reference(path: Path) -> str:
    """Markdown; a sentence when there is no such file."""
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "There is no action.yml beside this site's mkdocs.yml."
    action = described if isinstance(described, dict) else _NOTHING
    return "\n".join([_inputs(action.get("inputs") or _NOTHING), "", _outputs(action.get("outputs") or _NOTHING)])


def _inputs(inputs: Mapping[str, Any]) -> str:
    rows = ["### Inputs", "", "| input | default | meaning |", "|---|---|---|"]
    for name, facts in inputs.items():
        default = "**required**" if facts.get("required") in (True, "true") else _default(facts.get("default"))
        rows.append(f"| {code(name)} | {default} | {cell(str(facts.get('description', '')))} |")
    return "\n".join(rows)


def _outputs(outputs: Mapping[str, Any]) -> str:
    rows = ["### Outputs", "", "| output | meaning |", "|---|---|"]
    rows += [f"| {code(name)} | {cell(str(facts.get('description', '')))} |" for name, facts in outputs.items()]
    return "\n".join(rows)


def _default(value: object) -> str:
    return code(str(value)) if value not in (None, "") else ""
