"""`kvm-e2e doctor`: look at this host, and say what mends it."""

import os

import click
from rich.console import Console

from kvm_action.accel import decide
from kvm_action.cli.doctor.circumstances import Circumstances
from kvm_action.cli.doctor.examination import Examination
from kvm_action.cli.doctor.view import as_json, for_root, show
from kvm_action.cli.options import choice
from kvm_action.doctor import verdict
from kvm_action.doctor.finding import is_usable
from kvm_action.errors import ExitCode
from kvm_action.paths import Home
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host
from kvm_action.results import AccelInfo


@click.command(name="doctor")
@click.option("--json", "wants_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--accel",
    type=choice(Accel),
    default=Accel.AUTO.value,
    show_default=True,
    help="How machines shall run: with kvm, its absence is a problem; with tcg, KVM is not looked at.",
)
def command(wants_json: bool, accel: str) -> int:
    """Look at everything a run needs: what is there, what is missing, and the command that mends it.

    Exits 3 when no run is possible. Warnings alone exit 0: without KVM, machines run by emulation.
    """
    examination = Examination(Circumstances(Host(), Home.from_environ(), Accel(accel)))
    found = examination.run()
    findings = [for_root(finding) for finding in found] if os.geteuid() == 0 else found
    if wants_json:
        click.echo(as_json(findings))
    else:
        show(findings, verdict(findings, _accel_of(examination)), Console(highlight=False))
    return ExitCode.PASSED if is_usable(findings) else ExitCode.INFRASTRUCTURE


def _accel_of(examination: Examination) -> AccelInfo | None:
    """What a run would use. Only asked when there is no problem, so that a forced KVM is one that works."""
    if examination.at.accel is Accel.TCG:
        return AccelInfo(name="tcg", reason="requested")
    return decide(Accel.AUTO, examination.kvm_facts) if examination.kvm_facts else None
