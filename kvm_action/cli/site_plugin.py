"""The plugin that mkdocs finds by its name, ``kvm-e2e``: the site's, which here also learns of the commands."""

from collections.abc import Sequence

from kvm_action.cli import root
from kvm_action.cli.reference import commands_of
from kvm_action.pages.command_reference import Command
from kvm_action.pages.plugin import SitePlugin


class Plugin(SitePlugin):
    """What mkdocs.yml names."""

    def commands(self) -> Sequence[Command]:
        """All of them."""
        return tuple(commands_of(root))
