"""A receiver of alerts: a real HTTP server that answers as the test says, and checks signatures by its own means."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE = Path(__file__).parents[1] / "fixtures" / "certificate_of_127.0.0.1.pem"
"""Made by: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=127.0.0.1
-addext subjectAltName=IP:127.0.0.1 -addext keyUsage=critical,digitalSignature,keyCertSign; valid for a century, and
known to nobody."""
SECRET_BYTES = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(SECRET_BYTES).decode()


class Receiver:
    """answers: what the next requests get, each (status, headers), or "hang", or "drip" for
    an answer that never ends; then every request gets 204."""

    def __init__(self, server):
        self.url = f"http://127.0.0.1:{server.server_port}/hooks/secret-path?key=1"
        self.answers = []
        self.requests = []
        self.released = threading.Event()

    def taken(self):
        """The documents that were answered with 204, in order."""
        return [json.loads(request["body"]) for request in self.requests if request["answer"] == 204]

    def began(self):
        return [each["data"] for each in self.taken() if each["type"] == "alert.began"]


def verified(headers, body, secret=SECRET_BYTES):
    """Whether one of the signatures is that of Standard Webhooks 1.0: HMAC-SHA256 of id.timestamp.body."""
    signed = headers["webhook-id"] + "." + headers["webhook-timestamp"] + "." + body.decode()
    expected = base64.b64encode(hmac.digest(secret, signed.encode(), hashlib.sha256)).decode()
    recent = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return recent and f"v1,{expected}" in headers["webhook-signature"].split(" ")


@contextmanager
def receiver(*, listening=True, certified=False):
    """A receiver at a free port. listening: whether connections are taken; else they are refused until `listen()`.
    certified: whether it speaks HTTPS, with the certificate CERTIFICATE, which vouches for itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answer, headers = found.answers.pop(0) if found.answers else (204, {})
            found.requests.append({"headers": dict(self.headers), "body": body, "answer": answer, "path": self.path})
            if answer == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
                while not found.released.wait(0.05):
                    self.wfile.write(b"x")
                return
            if answer == "hang":
                found.released.wait(60)
                return
            self.send_response(answer)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """A client that went away."""

    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if certified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.server_bind()
    found = Receiver(server)
    if certified:
        found.url = found.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

    def listen():
        server.server_activate()
        thread.start()

    found.listen = listen
    if listening:
        listen()
    try:
        yield found
    finally:
        found.released.set()
        if thread.is_alive():
            server.shutdown()
            thread.join()
        server.server_close()
