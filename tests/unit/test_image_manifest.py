"""What is written of an image, and read again: by this version, of an older one."""

import json
from datetime import UTC, datetime

from kvm_action.images.manifest import Manifest, from_json, to_json
from kvm_action.images.model import Facts, Firmware, Input, Origin, Package

ORIGIN = Origin(image="debian-12", image_sha256="ab" * 32, run="20260101-000000-abcdef", plan="vps")
MANIFEST = Manifest(
    sha256="cd" * 32,
    bytes=1,
    virtual_bytes=2,
    created=datetime(2026, 1, 1, tzinfo=UTC),
    facts=Facts(
        firmware=Firmware.BIOS, os="debian-12", recipe="promote", packages=(Package(name="a", version="1"),),
        inputs=(Input(name="size", value="8 GiB"), Input(name="script", value="x.sh")), origin=ORIGIN,
    ),
)  # fmt: skip


def test_the_origin_of_an_image_and_what_went_into_it_are_kept() -> None:
    assert from_json(to_json(MANIFEST)) == MANIFEST


def test_an_image_of_before_these_were_kept_is_read() -> None:
    document = json.loads(to_json(MANIFEST))
    del document["origin"]
    del document["inputs"]
    read = from_json(json.dumps(document)).facts
    assert (read.origin, read.inputs) == (None, ())
