"""Signatures: those that AWS published, those that botocore makes, and requests that were changed on the way."""

import hashlib
import random
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from datawarehouse.access.sigv4 import SKEW_S, Claim, SignatureError, canonical_path, canonical_query, read_claim

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AT = "20150830T123600Z"
NOW_S = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
HOST = {"host": "example.amazonaws.com", "x-amz-date": AT}

# AWS's Signature Version 4 test suite: method, path, query, more headers, body, signature
PUBLISHED = {
    "get-vanilla": ("GET", "/", "", {}, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-vanilla-query-order-key-case": (
        "GET", "/", "Param2=value2&Param1=value1", {}, "",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-vanilla-utf8-query": (
        "GET", "/", "\u1234=bar", {}, "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    "get-utf8": ("GET", "/\u1234", "", {}, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-space": (
        "GET", "/example space/", "", {}, "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    "get-slashes": (
        "GET", "//example//", "", {}, "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    "get-relative-relative": (
        "GET", "/example1/example2/../..", "", {}, "",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-unreserved": (
        "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", {}, "",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-header-value-trim": (
        "GET", "/", "", {"my-header1": " value1", "my-header2": ' "a   b   c"'}, "",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": ("POST", "/", "", {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-header-key-sort": (
        "POST", "/", "", {"my-header1": "value1"}, "",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-header-value-case": (
        "POST", "/", "", {"my-header1": "VALUE1"}, "",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-x-www-form-urlencoded": (
        "POST", "/", "", {"content-type": "application/x-www-form-urlencoded"}, "Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}  # fmt: skip


def as_bytes(headers):
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def authorization(headers, signature, scope=f"{KEY_ID}/20150830/us-east-1/service/aws4_request"):
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"


def check(method, path, query, headers, body, secret=SECRET, given=None):
    """Check a request whose headers have an Authorization, or the one given."""
    headers = as_bytes(headers)
    given = headers.pop(b"authorization").decode() if given is None else given
    claim = read_claim(given, headers)
    digest = hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()
    claim.check(secret, method, path.encode(), query.encode(), headers, digest)
    return claim


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_aws_published(name):
    method, path, query, more, body, signature = PUBLISHED[name]
    headers = HOST | more
    given = authorization(headers, signature)
    claim = check(method, path, query, headers, body, given=given)
    assert (claim.key_id, claim.region, claim.service) == (KEY_ID, "us-east-1", "service")
    claim.check_time(NOW_S)
    with pytest.raises(SignatureError) as error:
        check(method, path, query, headers, body + " ", given=given)
    assert error.value.code == "SignatureDoesNotMatch"


def signed(method, url, headers, body, auth=SigV4Auth):
    """The headers that botocore gives a request."""
    request = AWSRequest(method, url, headers, body)
    auth(Credentials(KEY_ID, SECRET), "kinesis", "eu-west-1").add_auth(request)
    return {"host": urlsplit(url).netloc, **{name.lower(): value for name, value in request.headers.items()}}


@pytest.mark.seeds(fixed=20, random=10)
def test_what_botocore_signs(seed):
    chance = random.Random(seed)
    letters = "abzABZ019 -._~!$&'()*+,;=:@%/?#[]{}|\\^\"<>\u00e9\u1234"

    def some(most):
        return "".join(chance.choices(letters, k=chance.randrange(most)))

    path = quote("/" + some(20), safe="/~")
    query = urlencode([(some(5) or "a", some(8)) for _ in range(chance.randrange(4))], quote_via=quote)
    body = chance.randbytes(chance.randrange(200))
    url = f"https://{chance.choice(('localhost:8321', 'events.example.com'))}{path}" + (f"?{query}" if query else "")
    more = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.PutRecords", "Some": "a  b"}
    headers = signed("POST", url, more, body)
    claim = check("POST", path, query, headers, body)
    claim.check_time(datetime.now(UTC).timestamp())
    for changed in (
        {"secret": SECRET + "x"},
        {"body": body + b"x"},
        {"query": query + "&more=1"},
        {"path": path + "/more"},
        {"method": "PUT"},
        {"headers": headers | {"x-amz-target": "Kinesis_20131202.DeleteStream"}},
        {"headers": headers | {"x-amz-more": "1"}},
        {"headers": headers | {"host": "elsewhere"}},
    ):
        whole = {"method": "POST", "path": path, "query": query, "headers": headers, "body": body} | changed
        with pytest.raises(SignatureError) as error:
            check(**whole)
        assert error.value.code == "SignatureDoesNotMatch", changed


@pytest.mark.parametrize(("shift_s", "says"), [(-SKEW_S - 1, "Signature expired"), (SKEW_S + 1, "not yet current")])
def test_a_time_that_is_too_far_away(shift_s, says):
    claim = Claim(KEY_ID, "20150830", "r", "s", AT, (), "")
    claim.check_time(NOW_S - shift_s + (1 if shift_s > 0 else -1))
    with pytest.raises(SignatureError, match=says):
        claim.check_time(NOW_S - shift_s)


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("", "IncompleteSignature", "algorithm"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a", "IncompleteSignature", "algorithm"),
        ("AWS4-HMAC-SHA256", "IncompleteSignature", "requires 'Credential'.*'Signature'.*'SignedHeaders'"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Signature=b", "IncompleteSignature", "requires 'SignedHeaders'"),
        ("AWS4-HMAC-SHA256 Credential=a, Signature=b, SignedHeaders=host", "IncompleteSignature", "exactly 5"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, Signature=b, SignedHeaders=host", "IncompleteSignature", "exactly"),
        ("AWS4-HMAC-SHA256 Credential=a, Credential=b, Signature=b", "IncompleteSignature", "twice"),
        (authorization(HOST, "0", "a/20150831/r/s/aws4_request"), "SignatureDoesNotMatch", "does not match YYYYMMDD"),
        (authorization(HOST, "0", "a/20150830/r/s/aws5_request"), "SignatureDoesNotMatch", "terminator"),
        (authorization(HOST, "\u00e9"), "SignatureDoesNotMatch", "does not match the signature"),
        (authorization(["x-amz-date"], "0"), "SignatureDoesNotMatch", "must be signed, and are not: host"),
        (authorization(["host"], "0"), "SignatureDoesNotMatch", "must be signed, and are not: x-amz-date"),
        (authorization([*HOST, "missing"], "0"), "SignatureDoesNotMatch", "does not match the signature"),
    ],
)
def test_a_header_that_is_wrong(given, code, says):
    with pytest.raises(SignatureError, match=says) as error:
        check("GET", "/", "", HOST, "", given=given)
    assert error.value.code == code
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("date", ["", "Sun, 30 Aug 2015 12:36:00 GMT", "20151330T123600Z", "20150830T123600"])
def test_a_date_that_is_none(date):
    given = authorization(HOST, "0", f"{KEY_ID}/{date[:8]}/r/s/aws4_request")
    with pytest.raises(SignatureError) as error:
        read_claim(given, as_bytes({"host": "a", "x-amz-date": date})).check_time(NOW_S)
    assert error.value.code == "IncompleteSignature"


class Http2Auth(SigV4Auth):
    def headers_to_sign(self, request):
        headers = super().headers_to_sign(request)
        headers[":authority"] = headers["host"]
        del headers["host"]
        return headers


def test_a_host_that_is_signed_as_http_2_has_it():
    headers = signed("POST", "https://a.example/", {}, b"x", Http2Auth)
    assert "SignedHeaders=:authority;x-amz-date" in headers["authorization"]
    check("POST", "/", "", headers, b"x")
    with pytest.raises(SignatureError, match="does not match the signature"):
        check("POST", "/", "", headers | {"host": "b.example"}, b"x")


def test_a_body_that_is_not_what_its_header_says():
    said = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    given = authorization(HOST | said, "0")
    with pytest.raises(SignatureError, match="x-amz-content-sha256"):
        check("POST", "/", "", HOST | said, "x", given=given)


def test_forms():
    assert canonical_path(b"") == canonical_path(b"/") == canonical_path(b"/..") == b"/"
    assert canonical_path(b"/a/./b/../c%20d/") == b"/a/c%2520d/"
    assert canonical_query(b"b=1&a=%7e&&a=+&c") == b"a=%2B&a=~&b=1&c="
