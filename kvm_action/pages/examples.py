"""Runs that pages show by name, such as one of each fault. They stand beside the history and count for nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from markupsafe import Markup

from kvm_action.history.record import Record
from kvm_action.history.store import History
from kvm_action.pages.assets import LOG
from kvm_action.pages.links import slug
from kvm_action.pages.run_pages import RunPage, example_pages

EXAMPLES: Final = "examples"
"""The folder of the history that holds them, and that of the site."""


@dataclass(frozen=True)
class Examples:
    """A history whose runs are found by a part of their plan's name."""

    history: History

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """All of them, the oldest first."""
        return self.history.read().records

    def pages(self) -> Iterator[RunPage]:
        """Each run's page."""
        return example_pages(self.history, self.records)

    def link(self, words: str, root: str) -> str:
        """HTML that leads to the newest run whose plan has ``words`` in its name; without one, nothing."""
        found = [record for record in self.records if words in record.plan]
        if not found:
            LOG.info("a page shows the run “%s”, which the history does not have", words)
            return ""
        shown = found[-1]
        address = f"{root}{EXAMPLES}/{slug(shown.key)}.html"
        return Markup('<a href="{}" title="{}">run</a>').format(address, f"{shown.plan}: {shown.outcome}")
