"""The store's own files as text: what an image is, and which image a name means. Touches no file."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from kvm_action.images.model import Facts, Firmware, Input, Origin, Package

_SCHEMA = "kvm-e2e/image/v1"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about one image file except its name."""

    sha256: str
    bytes: int
    virtual_bytes: int
    created: datetime
    facts: Facts


def to_json(manifest: Manifest) -> str:
    """The manifest's text."""
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "sha256": manifest.sha256,
        "bytes": manifest.bytes,
        "virtual_bytes": manifest.virtual_bytes,
        "created": manifest.created.isoformat(),
        **asdict(manifest.facts),
    }
    document["packages"] = {package.name: package.version for package in manifest.facts.packages}
    document["inputs"] = {each.name: each.value for each in manifest.facts.inputs}
    return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> Manifest:
    """The manifest that `to_json` wrote. Raises ValueError or KeyError for anything else."""
    document = json.loads(text)
    if document["schema"] != _SCHEMA:
        raise ValueError(f"schema {document['schema']!r}, expected {_SCHEMA!r}")
    return Manifest(
        sha256=document["sha256"],
        bytes=document["bytes"],
        virtual_bytes=document["virtual_bytes"],
        created=datetime.fromisoformat(document["created"]),
        facts=Facts(
            firmware=Firmware(document["firmware"]),
            os=document["os"],
            recipe=document["recipe"],
            packages=tuple(Package(name=name, version=version) for name, version in document["packages"].items()),
            inputs=tuple(Input(name=name, value=value) for name, value in document.get("inputs", {}).items()),
            origin=Origin(**document["origin"]) if document.get("origin") else None,
        ),
    )
