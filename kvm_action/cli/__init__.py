"""The command line. One module per command, imported only when it is used; one catch, at the top."""

import io
import sys
from difflib import get_close_matches
from importlib import import_module

import click

from kvm_action import __version__
from kvm_action.cli.crash import guarded

# command -> the line that --help shows; the module of that name holds the click command `command`
COMMANDS = {
    "doctor": "Look at this host: what is missing, and the command that mends it.",
    "run": "Run a plan: boot a machine, provision it, check it, report, clean up.",
    "plan": "Check plans, print their schema, or a matrix of them for GitHub.",
    "image": "The store of base images: build, import, promote, list, inspect, remove.",
    "vm": "Machines that were kept: list, log in, look at, end.",
    "snapshot": "Snapshots of a kept machine: list, create, revert, delete.",
    "template": "Machines frozen after their boot: list, build, remove.",
    "bench": "Run a plan on both backends, several times, and compare them.",
    "results": "The results of several runs as one table.",
    "publish": "Show a result as a check run on GitHub.",
    "history": "Keep results, list them, look for what broke or got slower.",
    "site": "Make the site that shows the history.",
    "reap": "Remove what dead runs left behind.",
    "action": "What action.yml calls.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of the command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"kvm_action.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a slip of ours, not of the user's
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A name that is nearly right gets a did-you-mean."""
        if args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 passed, 1 the thing under test failed, 2 the plan or the usage is wrong, "
    "3 the host or the infrastructure failed, 4 a bug of kvm-e2e, 130/143 interrupted.",
)
@click.version_option(__version__, prog_name="kvm-e2e")
def root() -> None:
    """Prove that a provisioning script really works, on a real virtual machine."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a sign shows a question mark
    return guarded(lambda: root.main(argv, prog_name="kvm-e2e", standalone_mode=False))
