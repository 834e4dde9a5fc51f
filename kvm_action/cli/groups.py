"""A group of commands whose `--help` says in a whole sentence what each does, however narrow the terminal."""

import click

LONGEST = 300
"""Letters of a command's first sentence."""


class WholeSentences(click.Group):
    """click itself cuts the sentences to what fits one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; what does not fit goes on in the next line."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(LONGEST)) for name, command in commands if command]
            )
