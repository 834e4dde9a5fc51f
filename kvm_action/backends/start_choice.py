"""Which way a machine is started: from a template, from a restored state, or by booting; and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kvm_action.backends.freezing import Freezer
from kvm_action.errors import DiskFullError, E2EError, HostError
from kvm_action.frozen import NoRoomError, Shape, Template, TemplateError, TemplateStore
from kvm_action.hypervisor.connection import LOST_HINT
from kvm_action.hypervisor.launching import NO_MEMORY_HINT
from kvm_action.plan.model import StartMode
from kvm_action.results import StartInfo
from kvm_action.units import format_seconds

BOOT: Final = StartMode.BOOT.value
_OF_A_MOMENT: Final = (LOST_HINT, NO_MEMORY_HINT)
"""What to do about troubles of the host that will be over."""


@dataclass(frozen=True)
class Start:
    """The decision. Without a template the machine boots. ``is_first``: no machine started from it before."""

    info: StartInfo
    template: Template | None = None
    is_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Finds a template for a machine, or makes it.

    ``shape`` says what a template of a mode depends on; ``freezer`` makes one; ``claim`` writes a key into the
    run's lease, so that nobody takes the template away; ``note`` tells the user what takes long.
    """

    wanted: StartMode
    store: TemplateStore
    shape: Callable[[StartMode], Shape]
    freezer: Callable[[Shape], Freezer]
    claim: Callable[[str], None]
    note: Callable[[str], None]

    def choose(self) -> Start:
        """Decide. What speaks against a template never ends the run: it is the reason for booting."""
        if self.wanted is StartMode.BOOT:
            return Start(StartInfo(mode=BOOT, reason="requested"))
        try:
            return self._first_that_works()
        except TemplateError as error:
            return Start(StartInfo(mode=BOOT, reason=f"no {self.wanted} start: {error}"))

    def _first_that_works(self) -> Start:
        if self.wanted is not StartMode.AUTO:
            return self._start(self.wanted)
        try:
            return self._start(StartMode.TEMPLATE)
        except NoRoomError:
            return self._start(StartMode.RESTORE)

    def _start(self, mode: StartMode) -> Start:
        shape = self.shape(mode)
        self.store.sweep()
        with self.store.lock(shape.key, on_wait=lambda: self._tell_waiting(shape.key)):
            found = self._sound(shape.key)
            template = found or self._made(shape)
            self.claim(shape.key)
        made = "made before" if found else f"made for this run in {format_seconds(template.seconds)}"
        reason = f"template {shape.key}, {made}"
        return Start(
            StartInfo(mode=mode.value, reason=reason, template=shape.key), template, is_first=found is None
        )

    def _tell_waiting(self, key: str) -> None:
        if not self.store.has(key):  # else it is only looked at, which takes a moment
            self.note(f"another run makes the template {key}; waiting for it")

    def _sound(self, key: str) -> Template | None:
        try:
            return self.store.find(key)
        except TemplateError as error:
            if key in self.store.leased():
                raise TemplateError(f"{error}; a machine still stands on it") from error
            self.note(f"the template {key} is dropped: {error}")
            self.store.remove(key)
            return None

    def _made(self, shape: Shape) -> Template:
        if self.wanted is StartMode.AUTO and (refusal := self.store.refusal(shape.key)):
            raise TemplateError(f"an earlier try failed: {refusal}")
        self.note(f"making a template of {shape.image_name} (once; later runs start from it)")
        try:
            template = self.freezer(shape).freeze()
        except NoRoomError:
            raise
        except TemplateError as error:
            if not is_passing(error):
                self.store.refuse(shape.key, str(error))
            raise
        self.store.forget_refusal(shape.key)
        return template


def is_passing(error: BaseException | None) -> bool:
    """Is it an error that says nothing of the template, nor of the next try?"""
    if isinstance(error, TemplateError):
        error = error.__cause__
    return isinstance(error, OSError | DiskFullError) or (
        isinstance(error, HostError) and error.hint in _OF_A_MOMENT
    )


def reason_of(error: E2EError | TemplateError) -> str:
    """An error as the reason for booting instead."""
    return error.message if isinstance(error, E2EError) else str(error)
