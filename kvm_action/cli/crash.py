"""The one place where errors end: expected ones as two lines, ours as a paste-ready report."""

import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from kvm_action import __version__
from kvm_action.errors import E2EError, ExitCode
from kvm_action.shortage import lack_of


def guarded(body: Callable[[], object]) -> int:
    """Call ``body``; returns what it returns if that is an exit code, else 0, else the code of its error."""
    try:
        returned = body()
    except E2EError as error:
        show(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.SIGINT
    except BrokenPipeError:
        return ExitCode.PASSED  # the reader of our output has seen enough
    except Exception as error:  # noqa: BLE001 - the top: everything else is a bug of ours
        return report_lack(error) or report_bug(error)
    return returned if isinstance(returned, int) else ExitCode.PASSED


def show(error: E2EError) -> None:
    """Print an expected error as message and hint."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')}  {error.hint}", err=True)


def report_lack(error: Exception) -> int:
    """Say what the host has no more of, and return that exit code; 0 when it is not that."""
    lack = lack_of(error)
    if lack is None:
        return 0
    show(lack)
    return lack.exit_code


def report_bug(error: BaseException) -> int:
    """Write the crash report and say where it is."""
    path = Path(f"kvm-e2e-crash-{datetime.now(UTC):%Y%m%d-%H%M%S}.md").absolute()
    text = crash_report(error, sys.argv)
    click.echo(f"kvm-e2e hit a bug of its own: {type(error).__name__}: {error}", err=True)
    try:
        path.write_text(text)
    except OSError:
        click.echo(text, err=True)
    else:
        click.echo(f"hint:  please report it; {path} is ready to paste", err=True)
    return ExitCode.BUG


def _commands(words: Sequence[str]) -> Sequence[str]:
    """The names of commands that ``words`` begin with; what follows may be a secret. It imports nothing."""
    module = sys.modules.get(f"kvm_action.cli.{words[0]}") if words else None
    command = getattr(module, "command", None)
    if command is None:
        return []
    inner = getattr(command, "commands", {})
    return words[:2] if set(words[1:2]) & set(inner) else words[:1]


def crash_report(error: BaseException, argv: list[str]) -> str:
    """Markdown with what we need to know; the environment stays out of it, since it holds secrets."""
    trace = "".join(traceback.format_exception(error))
    return (
        f"### kvm-e2e {__version__} crashed\n\n"
        f"* Python {platform.python_version()} on {platform.platform()}\n"
        f"* Command: `{' '.join(_commands(argv[1:]))}`\n\n"
        f"```\n{trace}```\n"
    )
