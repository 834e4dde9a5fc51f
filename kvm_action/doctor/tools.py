"""Programs and Python packages that a run needs: installed, and which version?"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module, metadata
from typing import Final

from kvm_action import proc
from kvm_action.doctor.finding import Finding, Level, ok, problem

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""An ordinary user's PATH often leaves out the system programs."""

PYTHON_PACKAGES: Final = {"libvirt": "libvirt-python", "paramiko": "paramiko", "pycdlib": "pycdlib"}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program, any one of ``names``. ``missing`` is how bad it is to be without."""

    names: tuple[str, ...]
    package: str
    purpose: str
    missing: Level
    has_version: bool = True


def programs(wanted: Sequence[Program]) -> list[Finding]:
    """Are they there?"""
    return [program(each) for each in wanted]


def program(wanted: Program) -> Finding:
    """Is it there? Its version is its first line of output."""
    subject = wanted.names[0]
    for name in wanted.names:
        if path := shutil.which(name, path=SEARCH_PATH):
            return ok(subject, _version(path) if wanted.has_version else path)
    seen = f"not installed; needed {wanted.purpose}"
    mend = f"sudo apt-get install -y {wanted.package}"
    return Finding(subject=subject, level=wanted.missing, seen=seen, mend=mend)


def _version(path: str) -> str:
    asked = proc.run([path, "--version"], timeout=timedelta(seconds=5))
    lines = (asked.stdout or asked.stderr).splitlines()
    return lines[0].strip() if lines else path


def user_network(qemu: str) -> Finding:
    """Some distributions build QEMU without slirp, its user-mode network."""
    asked = proc.run([qemu, "-netdev", "help"], timeout=timedelta(seconds=5))
    if "user" in (asked.stdout + asked.stderr).split():
        return ok("user network", "QEMU has it; it needs no rights and no set-up")
    mend = "# install a QEMU with slirp, or use a libvirt network: `network: default` in the plan"
    return problem("user network", "this QEMU was built without it", mend)


def python_packages(names: Sequence[str] = tuple(PYTHON_PACKAGES)) -> list[Finding]:
    """Do the packages with parts in C, or with such parts below them, import?"""
    return [_package(name) for name in names]


def _package(name: str) -> Finding:
    subject, project = f"Python: {name}", PYTHON_PACKAGES.get(name, name)
    try:
        import_module(name)
    except ImportError as error:
        return problem(
            subject, f"cannot be imported: {error}", f"python3 -m pip install --force-reinstall {project}"
        )
    return ok(subject, metadata.version(project))
