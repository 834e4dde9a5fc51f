"""Making a template: boot a machine without a network card, let it settle, and write down all that it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

from kvm_action import seed
from kvm_action.backends.boot_watch import BootWatch
from kvm_action.backends.first_boot import CLOUD_INIT_ENDED, cloud_init_errors
from kvm_action.backends.identity import new_identity
from kvm_action.boot import Stage
from kvm_action.errors import BootError, HostError, ImageError
from kvm_action.frozen import Draft, NoRoomError, Shape, Template, TemplateError, TemplateStore
from kvm_action.hypervisor.agent import Agent
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.migration import can_share_memory, save_state
from kvm_action.hypervisor.qemu_process import GuestClock
from kvm_action.images import qemu_img
from kvm_action.patience import stretched
from kvm_action.renewal import FrozenIdentity, said, settling
from kvm_action.text import plain_line
from kvm_action.wait import Deadline, until

SETTLE_TIME: Final = timedelta(minutes=2)
HOSTNAME: Final = "template"

_NO_AGENT: Final = "the guest agent does not answer; does the image have qemu-guest-agent?"

Launch = Callable[[Draft], AbstractContextManager[Domain]]
"""Starts the draft's machine, paused at its first instruction, without a network card."""


@dataclass(frozen=True, kw_only=True)
class Freezer:
    """Makes templates of one shape. ``image`` is the file that the disk stands on."""

    store: TemplateStore
    shape: Shape
    image: Path
    launch: Launch
    watch: BootWatch

    def freeze(self) -> Template:
        """Make the template. Raises TemplateError, with a reason, whatever went wrong; nothing is left then."""
        began = time.monotonic()
        try:
            with self.store.draft(self.shape) as draft:
                frozen = self._freeze(draft)
                return self.store.publish(draft, self.shape, frozen, time.monotonic() - began)
        except (BootError, HostError, ImageError) as error:
            raise TemplateError(error.message) from error
        except OSError as error:
            raise TemplateError(str(error)) from error

    def _freeze(self, draft: Draft) -> FrozenIdentity:
        qemu_img.create_overlay(self.image, draft.disk, self.shape.disk)
        host_key = self._write_seed(draft)
        with self._launched(draft) as domain:
            self.watch.begin(GuestClock(domain.name))
            if self.shape.in_memory_file and not can_share_memory(domain):
                raise NoRoomError("this QEMU cannot leave shared memory out of a saved state")
            domain.resume()
            frozen = self._settled(domain, host_key)
            domain.suspend()
            save_state(domain, draft.state, with_memory=not self.shape.in_memory_file)
        return frozen

    @contextmanager
    def _launched(self, draft: Draft) -> Iterator[Domain]:
        """Raises NoRoomError where QEMU, another user or confined, may not open a file of ours as its memory."""
        with ExitStack() as running:
            try:
                domain = running.enter_context(self.launch(draft))
            except HostError as error:
                if self.shape.in_memory_file and "Permission denied" in error.message:
                    raise NoRoomError(error.message) from error
                raise
            yield domain

    def _write_seed(self, draft: Draft) -> str:
        identity = new_identity(HOSTNAME)
        spec = seed.SeedSpec(
            instance_id=f"template-{self.shape.key}",
            hostname=HOSTNAME,
            mac="",
            user=self.shape.user,
            sudo=self.shape.sudo,
            authorized_key=identity.user_key.public,
            host_key_private=identity.host_key.private,
            host_key_public=identity.host_key.public,
            password=token_hex(16) if self.shape.with_password else "",
        )
        seed.write(spec, draft.seed)
        return identity.host_key.public

    def _settled(self, domain: Domain, host_key: str) -> FrozenIdentity:
        agent = Agent(domain)
        self._wait_for(agent, domain)
        self._require_cloud_init(agent)
        nonce = token_hex(16)
        script = settling(nonce, self.shape.user)
        answer = agent.run(script.argv, Deadline(stretched(SETTLE_TIME), self.watch.patient), script.stdin)
        if answer is None or answer.status != 0:
            why = answer.stderr.decode(errors="replace").strip()[-200:] if answer else "no answer in time"
            raise TemplateError(f"the guest could not be settled: {why}")
        told = said(answer.stdout)
        if not told.get("machine_id"):
            raise TemplateError("the guest has no machine id")
        return FrozenIdentity(
            nonce=nonce,
            machine_id=told["machine_id"],
            boot_id=told.get("boot_id", ""),
            hostname=HOSTNAME,
            host_key=host_key,
        )

    def _require_cloud_init(self, agent: Agent) -> None:
        """Wait for its end. Without a network card it may fail where a boot does not: runs must not."""
        limit = Deadline(stretched(SETTLE_TIME), self.watch.patient)
        answer = agent.run(["/bin/sh", "-c", CLOUD_INIT_ENDED], limit)
        if answer is None:
            raise TemplateError("cloud-init did not finish in time")
        if errors := cloud_init_errors(answer.stdout.decode(errors="replace").strip()):
            raise TemplateError(
                f"cloud-init fails in a machine without a network card: {plain_line(errors[0], 200)}"
            )

    def _wait_for(self, agent: Agent, domain: Domain) -> None:
        def look() -> bool:
            if agent.answers(Deadline(timedelta())):
                return True
            if trouble := self.watch.trouble(domain.end, domain.last_words()):
                raise (
                    trouble if self.watch.log.stage is not Stage.LOGIN or domain.end else TemplateError(_NO_AGENT)
                )
            return False

        if not until(look, Deadline(self.watch.deadline.allowed, self.watch.patient), every=0.1):
            raise TemplateError(_NO_AGENT)
