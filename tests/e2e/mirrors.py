"""A Debian mirror on loopback that hands on what this host's own mirror has, until it dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.error import HTTPError
from urllib.request import urlopen

from kvm_action.images import mirror


@contextmanager
def mirror_that_dies_after(packages: int) -> Iterator[str]:
    """Its address. It hands on so many packages and the first half of one more; then every answer breaks off."""
    host = mirror.of_this_host()
    assert host
    given, lock = [0], Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                given[0] += self.path.endswith(".deb")
                dead = given[0] > packages
            try:
                with urlopen(host.main.rstrip("/") + self.path) as answer:
                    content = answer.read()
            except HTTPError as error:
                self.send_error(error.code)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if dead else content)

        def log_message(self, *_words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_request: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
