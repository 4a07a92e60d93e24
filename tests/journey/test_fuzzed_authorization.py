"""Authorization headers that were changed at random: none is taken for a key, and none breaks anything.

`DW_TEST_EXAMPLES=19 python -m pytest tests/journey/test_fuzzed_authorization.py` sends 10,000.
"""

import http.client
import json
import random
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from running import DECLARATION, command, running

EACH = 500
SIGNED = ("Credential", "SignedHeaders", "Signature")
BODY = json.dumps({"StreamName": "clicks", "Data": "e30=", "PartitionKey": "a"}).encode()
SAID = {"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}
PIECES = [
    "Credential=", "SignedHeaders=", "Signature=", "AWS4-HMAC-SHA256 ", "Bearer ", "Basic ", "host;", "x-amz-date", "/",
    ",", ";", "=", " ", "  ", "aws4_request", "%00", "\t", "\u00e9", "AWS4-HMAC-SHA1", "..", "0", "a" * 3000, "{}",
]  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A warehouse, a key, and a connection."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "warehouse.py").write_text(DECLARATION)
    key = json.loads(command(folder, "keys", "create", "a", "--may", "put", "--output", "json").stdout)
    with running(folder) as warehouse:
        address = urlsplit(warehouse.url)
        with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=30)) as connection:
            yield warehouse, key, connection


def signed(url, key):
    request = AWSRequest("POST", url, SAID, BODY)
    SigV4Auth(Credentials(key["id"], key["secret"]), "kinesis", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def fuzzed(chance, text):
    """A text with some of its letters gone, doubled, changed, moved or put between."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        to = min(len(text), at + chance.choice((1, 1, 2, 8, 40)))
        match chance.randrange(6):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:to] + text[at:to] + text[to:]
            case 2:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 3:
                text = text[:at] + chance.choice("0123456789abcdefXYZ/,;=- ") + text[at + 1 :]
            case 4:
                text = text[:at].swapcase() + text[at:]
            case _:
                parts = text.split(chance.choice(", ;/="))
                chance.shuffle(parts)
                text = chance.choice(", ;/=").join(parts)
    return text


def meaning(text):
    """What a header says, without what does not count: the order of its parts, and blanks."""
    algorithm, _, rest = text.strip().partition(" ")
    parts = [part.strip().partition("=") for part in rest.split(",")]
    return algorithm, sorted((name, value.strip()) for name, _, value in parts if name in SIGNED)


@pytest.mark.seeds(fixed=1, random=1)
def test_no_changed_header_is_taken(asked, seed):
    warehouse, key, connection = asked
    chance = random.Random(seed)
    headers = signed(warehouse.url + "/", key)
    right = headers["Authorization"]
    taken = 0
    for number in range(EACH):
        kind = chance.choice((right, right, right, f"Bearer {key['token']}", f"Basic {key['id']}"))
        given = fuzzed(chance, kind).encode("latin-1", "replace").decode("latin-1")
        connection.request("POST", "/", BODY, headers | {"Authorization": given})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status == 200:
            same = meaning(given) == meaning(right) if kind is right else given.strip().split()[1:] == [key["token"]]
            assert same, (number, given)
            taken += 1
            continue
        assert response.status == 400, (number, given, answer)
        assert answer["__type"].endswith("Exception"), (number, given, answer)
        assert key["secret"] not in json.dumps(answer), (number, given)
    assert taken < EACH / 4
    connection.request("POST", "/", BODY, headers)
    response = connection.getresponse()
    assert (response.status, "SequenceNumber" in json.loads(response.read())) == (200, True)
    assert "Traceback" not in (warehouse.folder / "errors.log").read_text()
