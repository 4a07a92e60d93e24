"""A network that breaks: a proxy for one address that loses answers of requests that arrived."""

import socket
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit


class Lossy:
    """Passes whole HTTP requests on. Of the answers it loses those for which `loses(number)` says so, and then closes
    the connection. number: of the request, from 1."""

    def __init__(self, url, loses):
        self._to = urlsplit(url)
        self._loses = loses
        self.requests = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                server = socket.create_connection((self._to.hostname, self._to.port))
            except OSError:
                return
            with server, client.makefile("rb") as asked, server.makefile("rb") as answered:
                while request := message(asked):
                    with self._lock:
                        self.requests += 1
                        loses = self._loses(self.requests)
                        self.lost += loses
                    try:
                        server.sendall(request)
                        answer = message(answered)
                        if loses or not answer:
                            return
                        client.sendall(answer)
                    except OSError:
                        return

    def close(self):
        self._listening.close()


def message(stream):
    """One HTTP message with its body, or empty bytes if there is no other one."""
    head = b""
    try:
        while line := stream.readline():
            head += line
            if line == b"\r\n":
                break
        else:
            return b""
        if b"expect: 100-continue" in head.lower():  # botocore: it sends the body anyway after a second
            head = b"".join(
                each + b"\r\n" for each in head.split(b"\r\n")[:-2] if not each.lower().startswith(b"expect:")
            )
            head += b"\r\n"
        lengths = [each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")]
        size = int(lengths[0].split(b":")[1]) if lengths else 0
        return head + stream.read(size)
    except OSError:
        return b""


@contextmanager
def lossy(url, loses):
    proxy = Lossy(url, loses)
    try:
        yield proxy
    finally:
        proxy.close()
