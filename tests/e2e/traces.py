"""What is there of a home's runs on this host: compared before and after, nothing may have come."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from tooling import Tool, machines_below

from kvm_action.admission.tickets import SHARED, SUFFIX
from kvm_action.errors import HostError
from kvm_action.frozen.memory_file import folder_of_store
from kvm_action.hypervisor.connection import open_connection
from kvm_action.hypervisor.domain_xml import domain_name
from kvm_action.hypervisor.owned import owned_domains

LIVES_ON = {"libvirtd", "virtlogd"}
"""Daemons of the user, which serve other runs too; they carry the environment of the run that started them."""
STORES = ("images", "templates", "probes")
"""Meant to stay."""


def traces(tool: Tool) -> set[str]:
    """Machines, domains, processes with their ports, files, leases among them, and places in the queue."""
    home = tool.home
    processes = [process for process in psutil.process_iter() if belongs(process, home)]
    return {
        *(f"machine {name}" for name in machines_below(home)),
        *(f"domain {name}" for name in domains(home)),
        *(f"process {process.pid}" for process in processes),
        *(f"port {port}" for process in processes for port in ports(process)),
        *(f"file {path}" for path in files(home)),
        *(f"log {path}" for path in logs(home)),
        *(f"ticket {path.name}" for path in tickets(tool)),
    }


def belongs(process: psutil.Process, home: Path) -> bool:
    """Was it started for a run with this home?"""
    with suppress(psutil.Error):
        words = process.cmdline()
        mine = process.environ().get("KVM_E2E_HOME") == str(home) or any(str(home) in word for word in words)
        return mine and process.name() not in LIVES_ON and process.pid != os.getpid()
    return False


def ports(process: psutil.Process) -> Iterator[int]:
    with suppress(psutil.Error):
        yield from (each.laddr.port for each in process.net_connections() if each.status == psutil.CONN_LISTEN)


def domains(home: Path) -> list[str]:
    try:
        with open_connection() as connection:
            return [f"{each}" for each in owned_domains(connection) if str(home) in each.lease.folder]
    except HostError:
        return []


def logs(home: Path) -> list[Path]:
    """What libvirt wrote about machines of this home."""
    with suppress(HostError), open_connection() as connection:
        if connection.log_folder:
            found = connection.log_folder.glob(f"{domain_name('')}*.log")
            return [log for log in found if str(home) in log.read_text(errors="replace")]
    return []


def files(home: Path) -> Iterator[Path]:
    for top in home.iterdir():
        if top.name not in STORES:
            yield from (path for path in top.rglob("*") if path.exists())
    yield from (home / "templates").glob(".*")
    yield from lost_memory(home / "templates")


def lost_memory(templates: Path) -> Iterator[Path]:
    """Memory files that no template names."""
    named = {json.loads(file.read_text())["memory_file"] for file in templates.glob("[!.]*/template.json")}
    yield from (file for file in folder_of_store(templates).glob("*.ram") if str(file) not in named)


def tickets(tool: Tool) -> Iterator[Path]:
    """Of the runs that ``tool`` started; others have theirs in the same folder."""
    for folder in (*SHARED, tool.home / "queue"):
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(OSError, ValueError):
                if json.loads(path.read_text())["pid"] in tool.pids:
                    yield path
