"""Starting a machine from a template: state loaded, identity renewed, and both proved."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_bytes, token_hex
from typing import Final

from kvm_action.backends.identity import Identity
from kvm_action.errors import HostError
from kvm_action.frozen import Template, TemplateError
from kvm_action.hypervisor.agent import Agent
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.migration import load_state
from kvm_action.patience import stretched
from kvm_action.renewal import ENTROPY_BYTES, NewIdentity, Proof, arrival, judge, renewal, said
from kvm_action.wait import Clock, Deadline

AGENT_TIME: Final = timedelta(seconds=20)
RENEWAL_TIME: Final = timedelta(seconds=30)
CLOCK_AIM: Final = 0.25
"""Seconds that the guest's clock may differ before it is set once more."""
_PROMPT: Final = 0.2
"""Seconds within which an answer tells the time well enough; on a busy host it takes longer."""
_ASKED_AT_MOST: Final = 5
_OVERRUN: Final = 20
"""How many times as long libvirt and programs in the guest wait: they know nothing of a busy host."""


@dataclass(frozen=True)
class Owner:
    """The plan's user as the woken machine shall know it."""

    user: str
    password: str = ""


def load(domain: Domain, template: Template, clock: Clock) -> None:
    """Give a paused domain the template's state and let it run. Raises TemplateError."""
    try:
        load_state(domain, template.state, with_memory=template.memory_file is None)
        domain.resume()
    except HostError as error:
        raise TemplateError(error.message) from error
    if not Agent(domain).answers(Deadline(stretched(AGENT_TIME), clock)):
        raise TemplateError("the guest agent does not answer in the woken machine")


def renew(domain: Domain, template: Template, identity: Identity, owner: Owner, clock: Clock) -> Proof:
    """Make the woken machine another one, and prove it. Raises TemplateError when it cannot be proved."""
    agent = Agent(domain)
    wanted = NewIdentity(
        hostname=identity.hostname,
        machine_id=token_hex(16),
        user=owner.user,
        authorized_key=identity.user_key.public,
        host_key=identity.host_key.private,
        host_key_public=identity.host_key.public,
        password=owner.password,
    )
    script = renewal(wanted, token_bytes(ENTROPY_BYTES), time.time())
    answer = agent.run(script.argv, Deadline(stretched(RENEWAL_TIME), clock), script.stdin, _OVERRUN)
    if answer is None or answer.status != 0:
        why = answer.stderr.decode(errors="replace").strip()[-200:] if answer else "no answer in time"
        raise TemplateError(f"the woken machine could not be given an identity: {why}")
    proof = judge(template.identity, wanted, said(answer.stdout), _set_clock(domain, agent))
    if not proof.ok:
        raise TemplateError(f"the woken machine is not proved: {'; '.join(proof.doubts)}")
    return proof


def wait_for_network(domain: Domain, allowed: timedelta, clock: Clock) -> None:
    """Wait until the card that was plugged in has an address. Raises TemplateError when it gets none."""
    script = arrival(allowed * _OVERRUN)
    answer = Agent(domain).run(script.argv, Deadline(allowed, clock), script.stdin, _OVERRUN)
    if answer is None or answer.status != 0:
        raise TemplateError("the woken machine's network card gets no address")


def _set_clock(domain: Domain, agent: Agent) -> float | None:
    """The difference of the guest's clock; set once more when the renewal was slow to do it."""
    difference = _difference(agent)
    if difference is not None and abs(difference) > CLOCK_AIM:
        domain.set_clock(datetime.now(UTC))
        difference = _difference(agent)
    return difference


def _difference(agent: Agent) -> float | None:
    """As the quickest of a few answers tells it, since it is right to half the time that the answer took."""
    answers = []
    for _ in range(_ASKED_AT_MOST):
        asked = time.time()
        told = agent.time()
        if told is None:
            return None
        took = time.time() - asked
        answers.append((took, round(told - (asked + took / 2), 4)))
        if took <= _PROMPT:
            break
    return min(answers)[1]
