"""The plugin of mkdocs: where the site's pages are made and put. What is on them is the other modules' business.

A page of the site asks for what is made by a comment, ``<!-- kvm-e2e: NAME -->``: ``overview``, ``benchmarks``,
``runs``, ``checks`` (of the history), ``plan``, ``commands``, ``action`` (of the code). ``<!-- kvm-e2e: run PART
-->`` becomes a link to the example with this word in its name, where the history has one.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from mkdocs.config import config_options
from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import BasePlugin, event_priority
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from kvm_action.history.store import PICTURES, History
from kvm_action.pages.action_reference import action_reference
from kvm_action.pages.assets import CHART, LOG, WORKER, script
from kvm_action.pages.command_reference import Command, command_reference
from kvm_action.pages.examples import EXAMPLES, Examples
from kvm_action.pages.history_pages import HistoryPages
from kvm_action.pages.indexes import add_to_search, leave_out_of_sitemap
from kvm_action.pages.run_pages import PICTURE_FOLDER, RunPage, run_pages
from kvm_action.pages.schema_reference import plan_reference
from kvm_action.pages.style import style_sheet
from kvm_action.paths import Home
from kvm_action.plan.schema import plan_schema
from kvm_action.templating import render

ASSETS: Final = "assets/kvm-e2e"
HISTORY_PAGES: Final = {
    "overview": "index.md",
    "benchmarks": "benchmarks.md",
    "runs": "runs.md",
    "checks": "checks.md",
}
SEARCHED: Final = 500
"""The newest runs that the site's search knows; the table of runs searches all."""

_ASKED: Final = re.compile(r"<!-- kvm-e2e: (\w+) -->")
_EXAMPLE: Final = re.compile(r"<!-- kvm-e2e: run (\S+) -->")
_SHELL: Final = "kvm-e2e-run-page"
_TITLE: Final = "kvm-e2e-run-title"
_NAMELESS: Final = 'data-md-component="search" role="dialog">'
_NAMED: Final = 'data-md-component="search" role="dialog" aria-label="Search">'
"""The theme's search has no name, which a screen reader would say."""
_STORY: Final = "<!-- kvm-e2e-run-story <h1 -->"
"""Stands for a run's page; mkdocs-material adds no title of its own where it sees one."""


class SiteConfig(Config):
    """What mkdocs.yml may say below ``kvm-e2e:``. Paths are relative to mkdocs.yml."""

    history = config_options.Type(str, default="history")
    action = config_options.Type(str, default="action.yml")
    optional = config_options.ListOfItems(config_options.Type(str), default=[])
    """Pages that the navigation names only if they are there."""


class SitePlugin(BasePlugin[SiteConfig]):
    """Used anew for each build."""

    def commands(self) -> Sequence[Command]:
        """The command line's own words; the command line knows them."""
        return ()

    @event_priority(50)
    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Before the offline plugin: pages that work from a disk, and no script from elsewhere."""
        config.use_directory_urls = False
        config.extra["polyfills"] = [f"{ASSETS}/{WORKER.name}"]
        config.extra_css.insert(0, f"{ASSETS}/site.css")
        config.extra_javascript += [f"{ASSETS}/{CHART.name}", f"{ASSETS}/site.js"]
        self._root = Path(config.config_file_path or "mkdocs.yml").absolute().parent
        self._nav_without_missing(config)
        return config

    def on_files(self, files: Files, config: MkDocsConfig) -> Files:
        """The pages that are made, unless the site has its own of that name, and what they need."""
        history = History(self._root / (os.environ.get("KVM_E2E_HISTORY") or self.config.history))
        self._history, reading = history, history.read()
        self._pages = HistoryPages(history, reading)
        self._examples = Examples(History(history.folder / EXAMPLES))
        for skipped in reading.skipped:
            LOG.info("left out %s: %s", skipped.path, skipped.reason)
        for name, path in HISTORY_PAGES.items():
            if path not in files.src_uris:
                files.append(File.generated(config, path, content=_history_page(name)))
        files.append(_shell(config))
        for path, content in self._made_files().items():
            files.append(File.generated(config, path, content=content))
        return files

    def on_page_markdown(self, markdown: str, **_: Any) -> str:
        """References are Markdown, so that they have a table of contents and are searched."""
        return _ASKED.sub(self._reference, markdown)

    def on_page_content(self, html: str, page: Page, **_: Any) -> str:
        """Pages of the history are HTML already: no text of a stranger ever is Markdown."""
        html = _EXAMPLE.sub(lambda asked: self._examples.link(asked[1], "../" * page.file.url.count("/")), html)
        return _ASKED.sub(self._fragment, html)

    def on_post_page(self, output: str, page: Page, **_: Any) -> str:
        """Keep what mkdocs made around a run's page, for all of them; the page itself is not written."""
        output = output.replace(_NAMELESS, _NAMED)
        if page.file.src_uri == f"runs/{_SHELL}.md":
            self._around = output
            return ""
        return output

    @event_priority(-50)
    def on_post_build(self, config: MkDocsConfig) -> None:
        """After the search has written its index, before the offline plugin copies it."""
        site, records = Path(config.site_dir), self._pages.reading.records
        self._write_runs(site / "runs", run_pages(self._history, tuple(records), lambda _key: True))
        self._write_runs(site / EXAMPLES, self._examples.pages())
        for history in (self._history, self._examples.history):
            _copy_pictures(history, site / PICTURE_FOLDER)
        add_to_search(site / "search/search_index.json", records[: -SEARCHED - 1 : -1])
        leave_out_of_sitemap(site / "sitemap.xml", _SHELL)

    def on_serve(self, server: LiveReloadServer, **_: Any) -> LiveReloadServer:
        """A new result, or a new picture of a page, shows at once."""
        if self._history.folder.is_dir():
            server.watch(str(self._history.folder))
        return server

    def _reference(self, asked: "re.Match[str]") -> str:
        made: Mapping[str, Callable[[], str]] = {
            "plan": lambda: plan_reference(plan_schema()),
            "commands": lambda: command_reference(self.commands()),
            "action": lambda: action_reference(self._root / self.config.action),
        }
        return made[asked[1]]() if asked[1] in made else asked[0]

    def _fragment(self, asked: "re.Match[str]") -> str:
        if asked[1] not in HISTORY_PAGES:
            LOG.warning("a page asks for “%s”, which kvm-e2e does not make", asked[1])
            return ""
        made: str = getattr(self._pages, asked[1])()
        return made

    def _made_files(self) -> dict[str, str]:
        cache = Home.from_environ().cache
        chart, worker = script(CHART, cache), script(WORKER, cache)
        return {
            f"{ASSETS}/site.css": style_sheet(),
            f"{ASSETS}/site.js": render("site/site.js"),
            f"{ASSETS}/runs.js": self._pages.runs_script(),
            f"{ASSETS}/{CHART.name}": _served(chart)
            if chart
            else "/* made without charts: npm was not there */\n",
            f"{ASSETS}/{WORKER.name}": worker or "/* made without search in files: npm was not there */\n",
        }

    def _write_runs(self, folder: Path, pages: Iterable[RunPage]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        before, after = self._around.split(_STORY)
        for page in pages:
            (folder / f"{page.name}.html").write_text(
                _titled(before, page) + page.content + _titled(after, page), encoding="utf-8"
            )

    def _nav_without_missing(self, config: MkDocsConfig) -> None:
        """Drop the optional pages that are not there."""
        missing = {path for path in self.config.optional if not (Path(config.docs_dir) / path).is_file()}
        if config.nav is not None:
            config.nav = _without(config.nav, missing)


def _copy_pictures(history: History, folder: Path) -> None:
    pictures = history.folder / PICTURES
    names = [path.name for path in pictures.iterdir()] if pictures.is_dir() else []
    for name in names:
        if kept := history.kept(PICTURES, name):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(kept.read_bytes())


def _history_page(name: str) -> str:
    hide = "hide: [navigation, toc]\nsearch: {exclude: true}"
    return f"---\ntitle: {name.capitalize()}\n{hide}\n---\n<!-- kvm-e2e: {name} -->\n"


def _shell(config: MkDocsConfig) -> File:
    """A page that mkdocs makes once; every run's page is it, with another middle."""
    head = f"---\ntitle: {_TITLE}\nhide: [navigation, toc]\nsearch: {{exclude: true}}\n---\n"
    return File.generated(
        config, f"runs/{_SHELL}.md", content=f"{head}{_STORY}\n", inclusion=InclusionLevel.NOT_IN_NAV
    )


def _titled(html: str, page: RunPage) -> str:
    return html.replace(_TITLE, escape(page.title)).replace(_SHELL, page.name)


def _without(nav: Any, missing: set[str]) -> Any:
    if isinstance(nav, list):
        return [_without(one, missing) for one in nav if not _names(one, missing)]
    if isinstance(nav, dict):
        return {title: _without(one, missing) for title, one in nav.items()}
    return nav


def _names(item: Any, missing: set[str]) -> bool:
    values = item.values() if isinstance(item, dict) else [item]
    return any(isinstance(value, str) and value in missing for value in values)


def _served(text: str) -> str:
    """Without the address of a map that is not served."""
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text)
