"""`kvm-e2e action`: what action.yml calls. Its options are the action's inputs, from the environment."""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO, cast

import click

from kvm_action.action.door import run_action
from kvm_action.cli.crash import guarded
from kvm_action.cli.terminal.stream import unbreakable
from kvm_action.workflow.stream import JobLog


@click.command(name="action")
def command() -> int:
    """Run a plan as a step of a GitHub job; action.yml calls this.

    Whatever is printed meanwhile, even of a crash, cannot be taken for a workflow command.
    """
    log = JobLog(unbreakable(sys.stdout))
    stream = cast(TextIO, log)
    with redirect_stdout(stream), redirect_stderr(stream):
        try:
            return guarded(lambda: run_action(os.environ, log))
        finally:
            log.end_line()
