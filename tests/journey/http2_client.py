"""A client of HTTP/2 that does what a test tells it, also what no client should do."""

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from patience import patient

QUIET = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)


@dataclass
class Answer:
    status: int | None = None
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    is_ended: bool = False
    reset: ErrorCodes | None = None

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["error"]["code"]


class Client:
    """reads: whether it gives window for what it has read. pieces: in how many bytes at a time it sends."""

    def __init__(self, connection, reads=True, pieces=0):
        self.socket = connection
        self.pieces = pieces
        self.library = h2.connection.H2Connection(QUIET)
        encode = self.library.encoder.encode
        self.library.encoder.encode = lambda headers: encode(headers, huffman=False)  # a second for 70,000 characters
        self.reads = reads
        self.answers: dict[int, Answer] = {}
        self.settings = {}
        self.pings = 0
        self.gone: tuple[ErrorCodes, str] | None = None
        self.is_closed = False
        self.library.initiate_connection()
        self.send()

    def send(self):
        self.raw(self.library.data_to_send())

    def raw(self, data):
        step = self.pieces or len(data) or 1
        for at in range(0, len(data), step):
            self.socket.sendall(data[at : at + step])

    def headers(self, method="POST", path="/v1/tables/clicks/events", more=(), authority="localhost"):
        pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
        return [*pseudo, *more]

    def begin(self, *arguments, end=False, **options):
        """Begin a request; its stream."""
        stream = self.library.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.library.send_headers(stream, self.headers(*arguments, **options), end_stream=end)
        self.send()
        return stream

    def body(self, stream, data, end=True):
        """Send a body as the server gives window for it."""
        while data or end:
            room = min(self.library.local_flow_control_window(stream), self.library.max_outbound_frame_size)
            if room <= 0 and data:
                self.read()
                continue
            part, data = data[:room], data[room:]
            self.library.send_data(stream, part, end_stream=end and not data)
            self.send()
            if not data:
                return

    def post(self, body, path="/v1/tables/clicks/events", **options):
        stream = self.begin("POST", path, **options)
        self.body(stream, body)
        return stream

    def get(self, path):
        return self.begin("GET", path, end=True)

    def read(self):
        """Take what comes once. Raises AssertionError if the connection is closed."""
        assert not self.is_closed, f"closed: {self.gone}, {self.answers}"
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_closed = True
            return
        for event in self.library.receive_data(data):
            self._handle(event)
        if self.gone is None:
            self.send()

    def _handle(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.ResponseReceived():
                answer.headers = {name.decode(): value.decode() for name, value in event.headers}
                answer.status = int(answer.headers.pop(":status"))
            case h2.events.InformationalResponseReceived():
                answer.headers["informational"] = dict(event.headers)[b":status"]
            case h2.events.DataReceived():
                answer.body += event.data
                if self.reads and self.gone is None:
                    self.library.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answer.is_ended = True
            case h2.events.StreamReset():
                answer.reset = event.error_code
            case h2.events.ConnectionTerminated():
                self.gone = (event.error_code, (event.additional_data or b"").decode())
            case h2.events.RemoteSettingsChanged():
                self.settings |= {code: change.new_value for code, change in event.changed_settings.items()}
            case h2.events.PingAckReceived():
                self.pings += 1

    def until(self, condition):
        while not condition():
            self.read()

    def answer(self, stream):
        """The whole answer, or as much as there is of it when the stream is reset."""
        answer = self.answers[stream]
        self.until(lambda: answer.is_ended or answer.reset is not None)
        return answer

    def end(self):
        """(code, message) of the GOAWAY, after which the connection is closed."""
        self.until(lambda: self.is_closed)
        return self.gone

    def widen(self):
        """Give more window than any answer needs."""
        self.library.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
        self.library.increment_flow_control_window(2**30)
        self.send()


@contextmanager
def connected(server, buffer=0, **options):
    """A client. buffer: about how many bytes it takes before it reads; 0 for what is usual."""
    address = urlsplit(server.url)
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(patient(30))
        connection.connect((address.hostname, address.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Client(connection, **options)
