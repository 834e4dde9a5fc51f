"""Which way a machine starts, when a template cannot be made or is in doubt."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_frozen_store import IDENTITY, SHAPE, fill

from kvm_action.backends.boot_watch import host_disk_full
from kvm_action.backends.start_choice import Chooser, Start, is_passing
from kvm_action.errors import BootError, HostError
from kvm_action.frozen import Template, TemplateError, TemplateStore
from kvm_action.hypervisor.connection import LOST_HINT
from kvm_action.hypervisor.launching import NO_MEMORY_HINT
from kvm_action.plan.model import StartMode


class Freezer:
    """Makes a template of nothing, or fails for a reason."""

    def __init__(self, store: TemplateStore, reason: Exception | None) -> None:
        self.store, self.reason, self.tries = store, reason, 0

    def freeze(self) -> Template:
        self.tries += 1
        if self.reason:
            raise TemplateError(str(self.reason)) from self.reason
        with self.store.draft(SHAPE) as draft:
            fill(draft)
            return self.store.publish(draft, SHAPE, IDENTITY, 1.0)


Choose = Callable[[Freezer], Start]


@pytest.fixture
def leased() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, leased: list[str]) -> TemplateStore:
    for name in ("shm", "templates"):
        (tmp_path / name).mkdir()
    return TemplateStore(tmp_path / "templates", lambda: leased, tmpfs=tmp_path / "shm")


@pytest.fixture
def choose(store: TemplateStore) -> Choose:
    def choose(freezer: Freezer) -> Start:
        chooser = Chooser(
            wanted=StartMode.AUTO,
            store=store,
            shape=lambda _mode: SHAPE,
            freezer=lambda _shape: freezer,
            claim=lambda _key: None,
            note=lambda _text: None,
        )
        return chooser.choose()

    return choose


def test_what_cannot_be_made_is_tried_once(store: TemplateStore, choose: Choose) -> None:
    freezer = Freezer(store, BootError("the guest has no agent"))
    assert [choose(freezer).info.mode for _ in range(2)] == ["boot", "boot"]
    assert "an earlier try failed: the guest has no agent" in choose(freezer).info.reason
    assert freezer.tries == 1


@pytest.mark.parametrize(
    "reason", [host_disk_full(), OSError(28, "No space left on device")], ids=["QEMU", "ours"]
)
def test_a_full_disk_says_nothing_of_the_template(store: TemplateStore, choose: Choose, reason: Exception) -> None:
    assert choose(Freezer(store, reason)).info.mode == "boot"
    assert choose(Freezer(store, None)).info.mode == "template"


@pytest.mark.parametrize("hint", [LOST_HINT, NO_MEMORY_HINT])
def test_a_trouble_of_the_host_says_nothing_of_the_template_also_where_it_is_the_cause(hint: str) -> None:
    trouble = HostError("libvirt says no", hint)
    not_woken = TemplateError("the machine did not wake")
    not_woken.__cause__ = trouble
    assert is_passing(not_woken)
    assert is_passing(trouble)
    assert not is_passing(TemplateError("the woken machine is not proved"))
    assert not is_passing(HostError("libvirt says no", "see its log"))


def test_a_template_in_doubt_on_which_a_machine_stands_starts_no_other(
    store: TemplateStore, choose: Choose, leased: list[str]
) -> None:
    assert choose(Freezer(store, None)).info.mode == "template"
    leased.append(SHAPE.key)
    store.retire(SHAPE.key, "its nonce was wrong")
    start = choose(Freezer(store, None))
    assert start.info.mode == "boot"
    assert "its nonce was wrong; a machine still stands on it" in start.info.reason
    leased.clear()
    assert choose(Freezer(store, None)).info.mode == "template"
