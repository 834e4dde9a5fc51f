"""What is installed, what this user may do, and which images are there."""

from kvm_action.cli.doctor.circumstances import Circumstances
from kvm_action.doctor import Finding, Level, groups, images, system
from kvm_action.doctor.tools import Program
from kvm_action.hypervisor.connection import SYSTEM_URI, default_uri
from kvm_action.images.store import Store
from kvm_action.images.tools import MMDEBSTRAP, NEWUIDMAP, QEMU_IMG, SETPRIV
from kvm_action.images.tools import Tool as ImageTool
from kvm_action.paths import Home
from kvm_action.plan.model import Accel
from kvm_action.runs import Leftover, leftovers, size_of
from kvm_action.work_folder import abandoned


def programs(*, is_root: bool) -> list[Program]:
    """What must be installed."""
    qemu = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")
    daemons = ("libvirtd",) if is_root else ("libvirtd", "virtqemud")
    return [
        Program(names=qemu, package="qemu-system-x86", purpose="to run machines", missing=Level.PROBLEM),
        from_image_tool(QEMU_IMG, "to make disks", Level.PROBLEM),
        Program(names=daemons, package="libvirt-daemon-system", purpose="to run machines", missing=Level.PROBLEM),
        from_image_tool(MMDEBSTRAP, "to build base images", Level.WARNING),
        from_image_tool(SETPRIV, "to build base images", Level.WARNING),
        *([] if is_root else [from_image_tool(NEWUIDMAP, "to build base images", Level.WARNING)]),
    ]


def from_image_tool(tool: ImageTool, purpose: str, missing: Level) -> Program:
    """A program that the image store names, as one that is looked for."""
    return Program(
        names=(tool.program,),
        package=tool.package,
        purpose=purpose,
        missing=missing,
        has_version=tool is not NEWUIDMAP,
    )


def memberships(at: Circumstances) -> list[Finding]:
    """The groups of libvirt and KVM."""
    of_kvm, wants_kvm = groups.membership("kvm"), at.accel is not Accel.TCG and not at.opens_kvm
    return [
        groups.finding(
            groups.membership("libvirt"),
            needed=default_uri() == SYSTEM_URI and not at.is_root,
            purpose="by root" if at.is_root else "for sessions of one's own",
        ),
        groups.finding(
            of_kvm,
            needed=wants_kvm and of_kvm.configured,
            purpose="before /dev/kvm is there and open to it" if wants_kvm else "as things are",
        ),
    ]


def surroundings(at: Circumstances) -> list[Finding]:
    """Namespaces and services."""
    services = system.services(at.host)
    if at.is_root:
        purpose = "to run libvirt without privileges"
        return [services, system.user_namespaces(at.host, Level.PROBLEM, purpose)]
    namespaces = system.user_namespaces(at.host, Level.WARNING, "to build images without root")
    return [services, namespaces, system.subordinate_ids(at.host, groups.user_name())]


def store(home: Home) -> list[Finding]:
    """The base images."""
    found = Store(home.images).list()
    return [images.at_hand([(image.name, image.bytes) for image in found], home.images)]


def left_files(home: Home) -> list[Leftover]:
    """Folders of dead runs, and of builders of images that are gone."""
    half_made = [Leftover(folder, size_of(folder)) for folder in abandoned(Store(home.images).work)]
    return [*leftovers(home.runs), *half_made]
