"""What a connection speaks is told by its first bytes, in whatever pieces they come."""

import asyncio
import socket

import h2.connection
import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from datawarehouse.runtime.connections import limited
from patience import patient


async def app(scope, receive, send):
    body = f"{scope['method']} {scope['path']} HTTP/{scope['http_version']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def http2_request():
    client = h2.connection.H2Connection()
    client.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/two")]
    client.send_headers(1, headers, end_stream=True)
    return client.data_to_send()


async def answer(pieces, until):
    """What comes for these pieces, each of which the connection gets by itself, up to `until`."""
    config = uvicorn.Config(app, http=limited(10, 60), ws="none", lifespan="off", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)

        def connection():
            return config.http_protocol_class(config=config, server_state=ServerState(), app_state={}, _loop=loop)

        transport, _ = await loop.connect_accepted_socket(connection, theirs)
        for piece in pieces:
            transport.get_protocol().data_received(piece)
        found = b""
        async with asyncio.timeout(patient(20)):
            while until not in found:
                piece = await loop.sock_recv(ours, 65536)
                assert piece, found
                found += piece
        transport.abort()
        await asyncio.sleep(0)
        return found


@pytest.mark.parametrize("size", [1, 3, 23, 24, 25, 1000])
@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (http2_request(), b"POST /two HTTP/2"),
        (b"POST /one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"POST /one HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx" + b" " * 30, b"HTTP/1.1 400 Bad Request"),
        (b"PUT /one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"PUT /one HTTP/1.1"),
    ],
    ids=["HTTP/2", "POST", "nearly HTTP/2", "PUT"],
)
def test_the_first_bytes_tell(sent, answered, size):
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert answered in uvloop.run(answer(pieces, answered))
