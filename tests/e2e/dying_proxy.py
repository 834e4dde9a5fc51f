"""An HTTP proxy on loopback that hands on some files of a mirror, and then is gone."""

import contextlib
import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import ClassVar


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes GET and HEAD with whole addresses, as clients send them to a proxy."""

    protocol_version = "HTTP/1.1"
    left: ClassVar[int]
    served: ClassVar[int] = 0

    def do_GET(self) -> None:
        kind = type(self)
        if kind.served >= kind.left:
            self.close_connection = True  # no answer at all: the connection ends
            return
        kind.served += 1
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.path, method=self.command), timeout=60
            ) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def proxy_that_dies(after: int) -> Iterator[tuple[int, type[Handler]]]:
    """Its port, and the handler, which counts what it has served."""
    kind = type("Dying", (Handler,), {"left": after, "served": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], kind
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
