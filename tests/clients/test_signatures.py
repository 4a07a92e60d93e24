"""SDKs with a key of the warehouse, over plain HTTP and TLS: right, wrong, with a wrong clock, changed on the way."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from receiving import CERTIFICATE
from running import AWS, command, running

from patience import patient

PROGRAMS = Path(__file__).with_name("programs")
INSTALLED = Path(__file__).parents[2] / ".venv" / "clients"
DECLARATION = """
from datawarehouse import Warehouse

warehouse = Warehouse("dw").with_streaming_input_table("clicks", {"id": "string"})
"""
CLIENTS = {
    "boto3": (sys.executable, "botocore_once.py", "boto3"),
    "AWS command": (sys.executable, "botocore_once.py", "aws"),
    "aws-sdk-js v2": ("node", "js_v2_once.cjs"),
    "aws-sdk-js v3": ("node", "js_v3_once.mjs"),
}
CASES = {
    "right": ({}, "taken"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "x" * 40}, "InvalidSignatureException"),
    "no such key": ({"AWS_ACCESS_KEY_ID": "DWAAAAAAAAAAAAAAAAAA"}, "UnrecognizedClientException"),
    "expired": ({"OFFSET_MS": "-960000"}, "InvalidSignatureException"),
    "from the future": ({"OFFSET_MS": "960000"}, "InvalidSignatureException"),
    "changed on the way": ({"TAMPER": "1"}, "InvalidSignatureException"),
}


@pytest.fixture(scope="module", params=["http", "https"])
def server(request, tmp_path_factory):
    """A warehouse, its folder, and a key that may put."""
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")
    (folder / "warehouse.py").write_text(DECLARATION)
    key = json.loads(command(folder, "keys", "create", "sdk", "--may", "put:clicks", "--output", "json").stdout)
    files = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)) if request.param == "https" else ()
    with running(folder, *files, declaration=None) as started:
        yield started, key


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_signature(server, client, case):
    started, key = server
    more, expected = CASES[case]
    environment = {
        **os.environ,
        **AWS,
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": started.url,
        "AWS_ACCESS_KEY_ID": key["id"],
        "AWS_SECRET_ACCESS_KEY": key["secret"],
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CA_BUNDLE": str(CERTIFICATE),
        "NODE_EXTRA_CA_CERTS": str(CERTIFICATE),
        **more,
    }
    done = subprocess.run(
        CLIENTS[client], env=environment, cwd=started.folder, capture_output=True, text=True, timeout=patient(60)
    )
    printed = done.stdout + done.stderr
    if client == "AWS command":
        found = "taken" if "SequenceNumber" in printed else re.search(r"\((\w+)\)", printed)[1]
    else:
        found = done.stdout.strip()
    assert found == expected, printed
    assert key["secret"] not in printed
