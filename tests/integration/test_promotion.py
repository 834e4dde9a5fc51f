"""A machine that no snapshot can take back becomes an image: it ends when that is in the store, not before."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kvm_action.backends import promoting
from kvm_action.backends.keeping import KeptRecord
from kvm_action.backends.kept import Opened
from kvm_action.errors import ImageError
from kvm_action.hypervisor.snapshot_probe import Ability
from kvm_action.images import qemu_img
from kvm_action.images.model import Package
from kvm_action.images.store import Store

pytestmark = pytest.mark.integration

NAME = "made"
RECORD = KeptRecord(
    run="r", plan="p", image="i", image_sha256="0", image_os="debian-12", firmware="bios", accel="tcg",
    network="user", user="testuser", key="ssh-ed25519 AAAA", out="/out",
)  # fmt: skip


class Promotion:
    """With a real disk and store, and a machine that is only described. Notes what the store had at its end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.told = Store(folder / "store"), list[str]()
        self.at_its_end: list[str] | None = None
        self.disk = folder / "overlay.qcow2"
        qemu_img.create_empty(self.disk, 8 << 20)
        monkeypatch.setattr(promoting, "seal", lambda _machine: (Package(name="hello", version="1"),))
        monkeypatch.setattr(promoting, "end", self.end)

    def end(self, _machine: object) -> None:
        self.at_its_end = [image.name for image in self.store.list()]

    def __call__(self) -> None:
        domain = SimpleNamespace(disk=lambda: self.disk, standing_still=nullcontext)
        machine = SimpleNamespace(
            domain=domain,
            kept=SimpleNamespace(record=RECORD, run="r"),
            snapshots=SimpleNamespace(ability=lambda: Ability(None, "this QEMU cannot")),
        )
        promoting.promote(cast(Opened, machine), self.store, NAME, self.told.append, nullcontext)


@pytest.fixture
def promotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promotion:
    return Promotion(tmp_path, monkeypatch)


def test_it_ends_when_its_image_is_in_the_store(promotion: Promotion) -> None:
    promotion()
    assert promotion.at_its_end == [NAME]


def test_it_stays_when_the_store_does_not_take_its_disk_and_that_is_said(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_what: object) -> None:
        raise ImageError("no space")

    monkeypatch.setattr(Store, "add", full)
    with pytest.raises(ImageError):
        promotion()
    assert promotion.at_its_end is None
    assert "the machine stays" in promotion.told[-1]
