"""A web server on loopback that can do what bad ones do: break off, lie, dawdle, change its mind."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

Fault = Callable[["Answer"], None]
"""What to do with one request instead of answering it well."""


@dataclass
class Shelf:
    """``files`` by path; ``faults`` by path, one for each request until there are none left."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: Event = field(default_factory=Event)
    has_etag: bool = True
    address: str = ""

    def ranges(self, path: str) -> list[str]:
        """The Range headers of the requests for a path, empty for none."""
        return [headers.get("Range", "") for asked, headers in self.asked if asked == path]


class Answer(BaseHTTPRequestHandler):
    """Of one request; with ranges, as in RFC 9110."""

    shelf: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.shelf.asked.append((self.path, dict(self.headers)))
        faults = self.shelf.faults.get(self.path, [])
        if faults:
            faults.pop(0)(self)
        elif self.path in self.shelf.files:
            self.give()
        else:
            self.send_error(404)

    def end_headers(self) -> None:
        """One request a connection, and said so: a client would otherwise race its end with the next one."""
        self.send_header("Connection", "close")
        super().end_headers()

    @property
    def content(self) -> bytes:
        return self.shelf.files[self.path]

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    def start(self) -> int:
        """Where the part begins that was asked for; 0 when all was, or when the file is another one by now."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked and self.headers.get("If-Range") == self.etag else 0

    def head(self, length: int | None, start: int = 0, end: int | None = None) -> None:
        self.send_response(206 if start else 200)
        if self.shelf.has_etag:
            self.send_header("ETag", self.etag)
        if start:
            last = (len(self.content) if end is None else end) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def give(self, most: int | None = None) -> None:
        """The file, or at most so many bytes of what should come."""
        start = self.start()
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.head(len(self.content) - start, start)
        self.wfile.write(self.content[start:][:most])

    def log_message(self, *_words: object) -> None:
        pass


def breaks_off_after(count: int) -> Fault:
    return lambda answer: answer.give(count)


def answers(status: int) -> Fault:
    return lambda answer: answer.send_error(status)


def says_length(length: int) -> Fault:
    def lie(answer: Answer) -> None:
        answer.head(length)
        answer.wfile.write(answer.content)

    return lie


def says_no_length(answer: Answer) -> None:
    answer.head(None)
    answer.wfile.write(answer.content)


def gives_another_part(answer: Answer) -> None:
    answer.send_response(206)
    answer.send_header("Content-Range", f"bytes 0-{len(answer.content) - 1}/{len(answer.content)}")
    answer.send_header("Content-Length", str(len(answer.content)))
    answer.end_headers()
    answer.wfile.write(answer.content)


def gives_parts_of_at_most(count: int) -> Fault:
    """As servers before a slicing cache do: a part may be shorter than what was asked for (RFC 9110, 15.3.7)."""

    def slice_it(answer: Answer) -> None:
        start = answer.start()
        end = min(start + count, len(answer.content))
        answer.head(end - start, start, end)
        answer.wfile.write(answer.content[start:end])

    return slice_it


def knows_no_ranges(answer: Answer) -> None:
    answer.head(len(answer.content))
    answer.wfile.write(answer.content)


def redirects(to: str) -> Fault:
    def send(answer: Answer) -> None:
        answer.send_response(302)
        answer.send_header("Location", to)
        answer.send_header("Content-Length", "0")
        answer.end_headers()

    return send


def drips(answer: Answer) -> None:
    """A byte now and then, until the client has had enough."""
    answer.head(len(answer.content))
    for byte in answer.content:
        if answer.shelf.closing.wait(0.02):
            return
        try:
            answer.wfile.write(bytes([byte]))
        except OSError:
            return


def falls_silent(answer: Answer) -> None:
    answer.head(len(answer.content))
    answer.wfile.write(answer.content[:1000])
    answer.shelf.closing.wait(30)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_request: object) -> None:
        """A client that goes away is no news."""


@contextmanager
def web_server() -> Iterator[Shelf]:
    shelf = Shelf()
    handler = type("Handler", (Answer,), {"shelf": shelf})
    server = _Server(("127.0.0.1", 0), handler)
    shelf.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        shelf.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
