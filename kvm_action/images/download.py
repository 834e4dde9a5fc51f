"""Files by HTTP: whole or not at all, going on where a connection broke. The only module that knows httpx.

What has come so far lies beside the target as ``.part``, with a note of the file it belongs to (RFC 9110, 13.1.5:
`If-Range`), so that the next attempt, or the next call, asks for the rest of the same file only.
"""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from kvm_action.errors import E2EError, HostError, ImageError
from kvm_action.images.addresses import require_trusted, shown
from kvm_action.images.partial_file import Part
from kvm_action.images.tools import require_space
from kvm_action.locks import held
from kvm_action.units import format_duration, format_size
from kvm_action.wait import Deadline, pause

Progress = Callable[[str], None]

_TEXT_BYTES: Final = 4 << 20
_TEMPORARY: Final = {408, 425, 429, 500, 502, 503, 504}
_RANGE: Final = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+|\*)")
_AGAIN: Final = "what has come is kept: call it again to go on from there"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for what."""

    whole: timedelta = timedelta(hours=2)
    silence: timedelta = timedelta(seconds=60)
    tries: int = 4
    """Attempts in a row that bring nothing new."""
    pause: timedelta = timedelta(seconds=2)


class BrokenOffError(Exception):
    """One attempt ended early; the text says how. Another may go on."""


def fetch(url: str, target: Path, progress: Progress, patience: Patience | None = None) -> None:
    """Bring the file at ``url`` to ``target``. Raises ImageError, HostError; what has come is then kept."""
    patience = patience or Patience()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Part.of(target)
    deadline, fruitless = Deadline(patience.whole), 0
    with _alone(target, progress), _client(patience) as client:
        while True:
            before = part.size
            try:
                _attempt(client, url, part, deadline, progress)
                break
            except BrokenOffError as broken:
                fruitless = fruitless + 1 if part.size <= before else 0
                if fruitless >= patience.tries or deadline.passed:
                    raise _given_up(url, part, broken, deadline) from broken
                progress(f"the connection broke after {format_size(part.size)} ({broken}); trying again")
                pause((patience.pause * (1 + fruitless)).total_seconds(), deadline)
        part.file.replace(target)
        part.forget()


def fetch_text(url: str, patience: Patience | None = None) -> str:
    """A small text file from an address that can be trusted, redirections included.

    Raises ImageError, PlanError.
    """
    try:
        with _client(patience or Patience(), _trusted_only) as client, client.stream("GET", url) as response:
            _require_success(url, response)
            text = b""
            for piece in response.iter_bytes():
                text += piece
                if len(text) > _TEXT_BYTES:
                    raise ImageError(f"{shown(url)} is too long for a list of checksums")
    except BrokenOffError as broken:
        raise ImageError(f"{shown(url)} could not be read: {broken}", hint="try it again later") from broken
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, error) from error
    return text.decode(errors="replace")


@contextmanager
def _client(patience: Patience, *before_each: Callable[[httpx.Request], None]) -> Iterator[httpx.Client]:
    """``before_each`` is called before each request, those that a redirection leads to included."""
    try:
        made = httpx.Client(
            timeout=httpx.Timeout(patience.silence.total_seconds()),
            headers={"Accept-Encoding": "identity", "User-Agent": "kvm-e2e"},
            follow_redirects=True,
            max_redirects=5,
            event_hooks={"request": list(before_each)},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise HostError(
            f"the proxy that the environment names cannot be used: {error}",
            hint="look at ALL_PROXY, HTTPS_PROXY, HTTP_PROXY and NO_PROXY; a proxy is written http://HOST:PORT",
        ) from error
    with made as client:
        yield client


def _trusted_only(request: httpx.Request) -> None:
    require_trusted(str(request.url))


@contextmanager
def _alone(target: Path, progress: Progress) -> Iterator[None]:
    """Be the only one who fetches this file."""
    waiting = "another process fetches the same file; waiting for it"
    with held(target.with_name(f"{target.name}.lock"), on_wait=lambda: progress(waiting)):
        yield


def _attempt(client: httpx.Client, url: str, part: Part, deadline: Deadline, progress: Progress) -> None:
    """One request. Raises BrokenOffError when another one may bring the rest."""
    asked = {}
    if validator := part.validator(url):
        asked = {"Range": f"bytes={part.size}-", "If-Range": validator}
    try:
        with client.stream("GET", url, headers=asked) as response:
            if _is_whole(response, part):
                return
            _require_success(url, response, part)
            if response.status_code != 206:
                part.begin(url, _validator(response))
            _receive(response, part, deadline, progress)
    except (httpx.TransportError, OSError) as error:
        if isinstance(error, httpx.UnsupportedProtocol):
            raise _unreachable(url, error) from error
        raise _trouble(error, part.file) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, error) from error


def _is_whole(response: httpx.Response, part: Part) -> bool:
    """Does the server say that nothing is missing?"""
    return response.status_code == 416 and response.headers.get("content-range") == f"bytes */{part.size}"


def _validator(response: httpx.Response) -> str:
    """What identifies this very file, empty when nothing does: a weak ETag may belong to another one."""
    etag = str(response.headers.get("etag", ""))
    strong = "" if etag.startswith("W/") else etag
    return strong or str(response.headers.get("last-modified", ""))


def _require_success(url: str, response: httpx.Response, part: Part | None = None) -> None:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code == 416 and part:
        part.forget()
        raise BrokenOffError("the server has no such part of it; starting over")
    if response.status_code in _TEMPORARY:
        raise BrokenOffError(f"the server answered {status}")
    if response.status_code not in ((200, 206) if part else (200,)):
        raise ImageError(f"{shown(url)}: the server answered {status}", hint="look at the address in a browser")
    if response.status_code == 206 and part:
        _require_continuation(response, part)


def _require_continuation(response: httpx.Response, part: Part) -> None:
    """Raise BrokenOffError, and start over, when the part that comes is not the one that was asked for."""
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if not found or int(found["start"]) != part.size:
        part.forget()
        raise BrokenOffError("the server sent another part than was asked for; starting over")


def _receive(response: httpx.Response, part: Part, deadline: Deadline, progress: Progress) -> None:
    begun = part.size
    total = _total(response, begun)
    require_space(part.file.parent, max(total - begun, 0), "the download")
    told = _Told(total, begun, progress)
    with part.file.open("ab", buffering=0) as file:
        for piece in response.iter_raw():
            file.write(piece)
            told.more(len(piece))
            if deadline.passed:
                raise BrokenOffError(f"the time was up after {format_duration(deadline.allowed)}")
    if part.size < total:  # a part may be shorter than what was asked for
        raise BrokenOffError(f"of {format_size(total)}, more is to come")


def _total(response: httpx.Response, begun: int) -> int:
    """How large the whole file is, in bytes; 0 when the server does not say."""
    part = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if part and part["total"].isdecimal():
        return int(part["total"])
    length = str(response.headers.get("content-length", ""))
    return begun + int(length) if length.isdecimal() else 0


class _Told:
    """Says how far it is, each tenth or each 100 MiB."""

    def __init__(self, total: int, there: int, progress: Progress) -> None:
        self._total, self._there, self._progress = total, there, progress
        self._step = max(total // 10, 1 << 20) if total else 100 << 20
        self._next = (there // self._step + 1) * self._step

    def more(self, count: int) -> None:
        self._there += count
        if self._there >= self._next:
            self._next = (self._there // self._step + 1) * self._step
            of = f" of {format_size(self._total)}" if self._total else ""
            self._progress(f"downloaded {format_size(self._there)}{of}")


def _trouble(error: Exception, file: Path) -> Exception:
    """What an exception of network or disk means."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return HostError(
            f"the disk is full: {file} holds {format_size(file.stat().st_size)}",
            hint="free some, or move it all with KVM_E2E_HOME; " + _AGAIN,
        )
    return BrokenOffError(str(error) or type(error).__name__)


def _unreachable(url: str, error: Exception) -> ImageError:
    return ImageError(
        f"{shown(url)} cannot be fetched: {str(error) or type(error).__name__}",
        hint="is the address right, and reachable from here? A proxy is taken from https_proxy",
    )


def _given_up(url: str, part: Part, broken: BrokenOffError, deadline: Deadline) -> E2EError:
    if deadline.passed:
        said = f"was not here after {format_duration(deadline.allowed)}: {format_size(part.size)} have come"
    else:
        said = f"could not be downloaded: {broken}"
    return ImageError(
        f"{shown(url)} {said}", hint=_AGAIN if part.size else "is the network there? Try again later"
    )
