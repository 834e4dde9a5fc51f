"""Starting one run's machine from a template: which one, how it is made, and the waking itself."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from kvm_action import __version__
from kvm_action.backends.boot_watch import PATIENCE, watching_boot
from kvm_action.backends.freezing import Freezer
from kvm_action.backends.parts import Parts
from kvm_action.backends.start_choice import Chooser, Start
from kvm_action.backends.waking import Owner, load, renew, wait_for_network
from kvm_action.errors import HostError
from kvm_action.events import Note
from kvm_action.frozen import Draft, NoRoomError, Shape, Template
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import DomainSpec, domain_xml, network_card_xml, template_name
from kvm_action.hypervisor.launching import launched
from kvm_action.patience import stretched
from kvm_action.plan.model import StartMode
from kvm_action.procfs import Host
from kvm_action.renewal import scripts_digest

ONLINE: Final = {"kvm": timedelta(seconds=20), "tcg": timedelta(seconds=60)}
"""From the card being plugged in to its address."""
_FILE_REFUSED: Final = "No file descriptor supplied"
"""QEMU's words when the kernel did not let it receive one."""


def choose_start(parts: Parts) -> Start:
    """From a template if this host can do that, and the plan's machine with it."""

    def claim(key: str) -> None:
        parts.folder.renew(replace(parts.folder.lease, template=key))
        parts.stack.callback(parts.templates.tidy, key)

    chooser = Chooser(
        wanted=parts.settings.start,
        store=parts.templates,
        shape=lambda mode: shape_of(parts, mode),
        freezer=lambda shape: freezer_of(parts, shape),
        claim=claim,
        note=lambda text: parts.sink(Note(text=text)),
    )
    return chooser.choose()


def wake(parts: Parts, template: Template) -> str:
    """Start from a template. Raises TemplateError, or HostError when QEMU or libvirt refuse."""
    domain = parts.domain
    parts.watch.log.wake()
    load(domain, template, parts.watch.patient)
    parts.watch.reached("agent")
    # The guest finds its card while it is being renewed, but nobody talks to it before it is another machine.
    card = replace(parts.spec(), network=parts.plan.machine.network)
    driver = plug_in_card(domain, card)
    password = parts.plan.user.password
    owner = Owner(parts.plan.user.name, password.get_secret_value() if password else "")
    proof = renew(domain, template, parts.identity, owner, parts.watch.patient)
    parts.watch.reached("identity")
    domain.change(network_card_xml(card, link="up", driver=driver))
    parts.address  # noqa: B018 - with user-mode networking its port is forwarded while the guest finds the card
    told = replace(parts.start.info, clock_difference=proof.clock_difference)
    parts.start = replace(parts.start, info=told)
    return f"{domain.name}, from template {template.key}"


def plug_in_card(domain: Domain, card: DomainSpec) -> str:
    """Plug in the card, its cable pulled out; returns the driver that was asked for.

    libvirt's AppArmor profile of a machine that began without a card lets QEMU have none of vhost-net's files
    (seen on Debian 13): then QEMU moves the packets itself.
    """
    try:
        domain.plug_in(network_card_xml(card, link="down"))
    except HostError as error:
        if _FILE_REFUSED not in error.message:
            raise
        domain.plug_in(network_card_xml(card, link="down", driver="qemu"))
        return "qemu"
    return ""


def wait_until_online(parts: Parts) -> str:
    """Wait for the woken machine's address. Raises TemplateError."""
    wait_for_network(parts.domain, stretched(ONLINE[parts.accel.name]), parts.watch.patient)
    return str(parts.address)


def shape_of(parts: Parts, mode: StartMode) -> Shape:
    """All that a template for this machine depends on. Raises NoRoomError where this mode is out of question."""
    machine, user, cpu = parts.plan.machine, parts.plan.user, Host().cpu()
    in_memory_file = mode is StartMode.TEMPLATE
    if in_memory_file and machine.hugepages:
        raise NoRoomError("memory in huge pages cannot be shared with a template's")
    flags = sha256(" ".join(sorted(cpu.flags)).encode()).hexdigest()[:12]
    return Shape(
        image=parts.image.sha256,
        image_name=parts.image.name,
        image_path=str(parts.image.path.resolve()),
        firmware=machine.firmware,
        cpus=machine.cpus,
        memory=machine.memory,
        cpu=machine.cpu,
        accel=parts.accel.name,
        disk=parts.disk_size,
        user=user.name,
        sudo=user.sudo,
        with_password=user.password is not None,
        hypervisor=f"{parts.connection.hypervisor_version}, {parts.connection.libvirt_version}",
        host_cpu=f"{cpu.model}, flags {flags}",
        tool=f"{__version__}, scripts {scripts_digest()}, domain {_digest_of_xml(parts.spec(), in_memory_file)}",
        in_memory_file=in_memory_file,
    )


def _digest_of_xml(spec: DomainSpec, in_memory_file: bool) -> str:
    """Of the domain's XML without what differs from one run to the next."""
    nowhere = Path("/nowhere")
    plain = replace(
        spec,
        name="",
        uuid=UUID(int=0),
        lease="",
        backing=(),
        overlay=nowhere,
        seed=nowhere,
        network="",
        mac="",
        memory_file=nowhere if in_memory_file else None,
        viewable=False,
        agent_socket=None,
    )
    return sha256(domain_xml(plain).encode()).hexdigest()[:12]


def freezer_of(parts: Parts, shape: Shape) -> Freezer:
    """What makes a template of that shape."""
    console = parts.settings.out / "template-console.log"
    patience = PATIENCE[parts.accel.name].stretched()
    watch = parts.stack.enter_context(watching_boot(console, lambda _event: None, patience))
    spec = parts.spec()

    def launch(draft: Draft) -> AbstractContextManager[Domain]:
        frozen = frozen_spec(spec, draft)
        return launched(parts.connection, frozen.name, domain_xml(frozen), watch.on_console)

    return Freezer(
        store=parts.templates, shape=shape, image=parts.image.path.resolve(), launch=launch, watch=watch
    )


def frozen_spec(spec: DomainSpec, draft: Draft) -> DomainSpec:
    """The domain that boots to become a template: without a network card, its memory in the draft's file."""
    return replace(
        spec,
        name=template_name(spec.name),
        overlay=draft.disk,
        seed=draft.seed,
        network="",
        memory_file=draft.memory_file,
        agent_socket=spec.agent_socket and spec.agent_socket.with_name("template.sock"),
    )
