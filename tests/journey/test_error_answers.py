"""Each error over real HTTP, up to the exit code: the caller learns whether to change something or to try again."""

import asyncio
import gc
import http.client
import json
import os
import re
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from running import COLUMNS

from datawarehouse import Warehouse, errors
from datawarehouse.cli.main import main
from datawarehouse.clock import WallClock
from datawarehouse.errors import Closed, ConversionStalled, DataWarehouseError, Throttled, Unreachable
from datawarehouse.folder import Holder, Ownership
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.runtime.client import Client
from datawarehouse.runtime.connections import limited
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.sending import Sender
from datawarehouse.runtime.upgrades import UPGRADES
from datawarehouse.server.app import Admin, App
from datawarehouse.server.aws_services import AwsServices
from datawarehouse.server.console import Console
from datawarehouse.server.console_files import ConsoleFiles
from datawarehouse.server.events import Events
from datawarehouse.server.identity import Gate
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.server.query import Queries
from datawarehouse.settings import resolve

ROW = re.compile(r"\| (?:&emsp;)*`(\w+)` \| (\d+) \| (\d+) \| (yes|no) \|")
TABLE = ROW.findall((Path(__file__).parents[2] / "docs" / "reference" / "errors.md").read_text())
TOKEN = "token"
EVENT = b'{"id":"a"}\n'


def owned(folder, **settings):
    declared = Warehouse("dw").with_streaming_input_table("clicks", json.loads(COLUMNS))
    return OpenWarehouse(declared, folder, resolve(settings), WallClock())


@contextmanager
def served(opened, flush=None, connections_max=100):
    """The URL of the HTTP server of an owner, which can be closed before the server is."""
    with ThreadPoolExecutor(4) as threads:

        async def flush_owner():
            await asyncio.get_running_loop().run_in_executor(threads, opened.flush)

        commit = GroupCommit(opened.intake, threads)
        names = "accept_clock backup behind run compact complete expire register_partition"
        absent = dict.fromkeys(names.split())
        admin = Admin(status=opened.status, flush=flush or flush_owner, not_ready=opened.not_ready, **absent)
        app = App(
            AwsServices(Kinesis(opened.intake, commit, opened.clock), None, None, None),
            Events(opened.intake, commit, 2**20, 100_000),
            Queries(None, None),
            None,
            Console(ConsoleFiles(), *[None] * 9),
            admin,
            Gate(opened.keys, TOKEN, opened.clock),
            None,
            2**20,
            on_fault=lambda what, error: opened.faults.met("requests", what, error),
        )
        with socket.create_server(("127.0.0.1", 0)) as bound:
            config = uvicorn.Config(app, lifespan="off", log_config=None, http=limited(connections_max, 60))
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
            thread.start()
            try:
                yield f"http://127.0.0.1:{bound.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()


def post(url, path, body=b"", **headers):
    """(status, headers, JSON answer) of one request."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    sent = {"Authorization": f"Bearer {TOKEN}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


def put_record(url):
    target = {"X_Amz_Target": "Kinesis_20131202.PutRecord", "Content_Type": "application/x-amz-json-1.1"}
    body = json.dumps({"StreamName": "clicks", "Data": "eA==", "PartitionKey": "a"}).encode()
    return post(url, "/", body, **target)


def boto3_client(url, attempts):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": attempts}),
    )


# -- the table, from the server to the command


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """A folder whose owner answers a flush with the error in a list."""
    home = tmp_path_factory.mktemp("failing")
    raised = []

    async def flush():
        raise raised[-1]

    opened = owned(home / "other")
    announced = Ownership(home / "data", UPGRADES)
    with opened, served(opened, flush) as url:
        announced.announce(Holder(os.getpid(), url, TOKEN))
        yield home / "data", url, raised
    announced.release()


@pytest.mark.filterwarnings("error::ResourceWarning")  # of a connection that nobody has closed
@pytest.mark.parametrize(("name", "status", "code", "again"), TABLE, ids=[row[0] for row in TABLE])
def test_an_error_has_its_status_its_exit_code_and_whether_to_try_again(failing, capsys, name, status, code, again):
    folder, url, raised = failing
    raised.append(getattr(errors, name)("what happened"))
    found, headers, answer = post(url, "/v1/admin/flush")
    assert (found, answer) == (int(status), {"error": {"code": name, "message": "what happened"}})
    assert headers["Retry-After"] is None if again == "no" else int(headers["Retry-After"]) >= 1
    client = Client(Holder(0, url, TOKEN))
    with pytest.raises(DataWarehouseError, match="what happened") as met:
        client.call("POST", "/v1/admin/flush", b"")
    client.close()
    assert (type(met.value).__name__, met.value.retryable) == (name, again == "yes")
    assert main(["flush", "--data", str(folder)]) == int(code)
    assert capsys.readouterr().err == "dw flush: what happened\n"
    gc.collect()


# -- what is not the caller's fault


def test_a_closed_warehouse_asks_producers_to_try_again(tmp_path):
    opened = owned(tmp_path / "data")
    with served(opened) as url:
        assert post(url, "/v1/tables/clicks/events", EVENT)[0] == 200
        opened.close()
        status, headers, answer = post(url, "/v1/tables/clicks/events", EVENT)
        assert (status, headers["Retry-After"], answer["error"]["code"]) == (503, "1", "Closed")
        assert answer["error"]["message"].startswith("The records were not taken: the warehouse is closed.")
        status, headers, answer = post(url, "/v1/admin/flush")
        assert (status, headers["Retry-After"], answer["error"]["code"]) == (503, "1", "Closed")


def test_kinesis_clients_get_codes_that_they_repeat(tmp_path):
    from botocore.exceptions import ClientError

    opened = owned(tmp_path / "data")
    with served(opened) as url:
        assert put_record(url)[0] == 200
        opened.close()
        status, headers, answer = put_record(url)
        assert (status, headers["x-amzn-ErrorType"], answer["__type"]) == (503, *["ServiceUnavailable"] * 2)
        assert headers["x-amzn-RequestId"]
        with pytest.raises(ClientError, match="the warehouse is closed") as met:
            boto3_client(url, 2).put_record(StreamName="clicks", Data=b"x", PartitionKey="a")
        assert met.value.response["Error"]["Code"] == "ServiceUnavailable"
        assert met.value.response["ResponseMetadata"]["RetryAttempts"] == 1
        shutil.rmtree(tmp_path / "data")
        opened.intake.disk.look_again()
        status, headers, answer = put_record(url)
        assert (status, headers["x-amzn-ErrorType"], answer["__type"]) == (500, *["InternalFailure"] * 2)
        opened.intake.disk.look_again()
        status, headers, answer = post(url, "/v1/tables/clicks/events", EVENT)
        assert (status, headers["Retry-After"], answer["error"]["code"]) == (500, "1", "InternalFailure")


class Broken(LocalExecutor):
    def run(self, order):
        raise OSError("no space left")


def test_a_flush_that_cannot_convert_says_to_try_again(tmp_path):
    opened = owned(tmp_path / "data", convert_processes=8, convert_interval_ms=10)
    opened.start(Broken)
    with opened, served(opened) as url:
        assert post(url, "/v1/tables/clicks/events", EVENT)[0] == 200
        status, headers, answer = post(url, "/v1/admin/flush")
        assert (status, headers["Retry-After"], answer["error"]["code"]) == (503, "1", "ConversionStalled")
        assert "'clicks' cannot be converted at the moment" in answer["error"]["message"]
        with pytest.raises(ConversionStalled):
            opened.flush()


# -- the client


def test_events_are_sent_again_when_the_warehouse_is_open_again(tmp_path):
    closed, opened = owned(tmp_path / "closed"), owned(tmp_path / "data")
    with opened, served(closed) as closed_url, served(opened) as url:
        closed.close()
        clients = iter([Client(Holder(0, closed_url)), Client(Holder(0, url))])
        sent = send(lambda: next(clients), EVENT * 3, 30)
        assert (sent.accepted, sent.again) == (3, 0)
        assert next(clients, None) is None
        assert opened.status()["tables"][0]["received"] == 3


def test_a_server_without_a_free_connection_is_tried_again(tmp_path):
    full, opened = owned(tmp_path / "full"), owned(tmp_path / "data")
    with full, opened, served(full, connections_max=0) as full_url, served(opened) as url:
        with pytest.raises(Unreachable, match="0 connections are open"):
            Client(Holder(0, full_url)).call("POST", "/v1/tables/clicks/events", EVENT)
        clients = iter([Client(Holder(0, full_url)), Client(Holder(0, url))])
        assert send(lambda: next(clients), EVENT, 30).accepted == 1


def send(connect, lines, patience_s):
    sender = Sender(connect, "clicks", patience_s)
    sender.send(iter([lines]), "any name")
    return sender.sent


@contextmanager
def answering(status, document, headers):
    """A server that gives one answer to everything; its URL, and the list of the paths that it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_sending_gives_up_when_its_time_is_over():
    document = {"error": {"code": "Closed", "message": "closed"}}
    with answering(503, document, {"Retry-After": "0"}) as (url, asked):
        with pytest.raises(Closed, match="closed"):
            send(lambda: Client(Holder(0, url)), EVENT, 0.4)
        assert len(asked) > 1
        del asked[:]
        with pytest.raises(Closed, match="closed"):
            send(lambda: Client(Holder(0, url)), EVENT, 0)
        assert len(asked) == 1


def test_a_pause_that_is_longer_than_the_patience_is_not_begun():
    document = {"error": {"code": "Throttled", "message": "full"}}
    with answering(429, document, {"Retry-After": "3600"}) as (url, asked):
        with pytest.raises(Throttled, match="full") as met:
            send(lambda: Client(Holder(0, url)), EVENT, 30)
        assert met.value.retry_after_s == 3600
        assert len(asked) == 1


def test_an_error_that_sending_again_does_not_change_is_not_sent_again():
    document = {"error": {"code": "BadRequest", "message": "wrong"}}
    with answering(400, document, {}) as (url, asked):
        with pytest.raises(errors.BadRequest, match="wrong"):
            send(lambda: Client(Holder(0, url)), EVENT, 30)
        assert len(asked) == 1
