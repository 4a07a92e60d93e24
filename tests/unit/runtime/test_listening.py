"""Where `dw up` may listen."""

import pytest

from datawarehouse.access.keys import Keys, Wanted
from datawarehouse.errors import BadRequest, FolderError
from datawarehouse.folder import keys_path
from datawarehouse.runtime.listening import Listening
from datawarehouse.settings import resolve

FILES = {"tls_cert": "a.pem", "tls_key": "a.key"}


@pytest.mark.parametrize(
    ("has_key", "given", "kind", "says"),
    [
        (False, {"host": "0.0.0.0"}, BadRequest, "there are no keys that they would need"),
        (False, {"behind_proxy": "10.0.0.1"}, BadRequest, "there are no keys that they would need"),
        (False, {"host": "192.0.2.1", **FILES}, BadRequest, "there are no keys that they would need"),
        (True, {"host": "0.0.0.0"}, BadRequest, "keys and events would travel as plain text"),
        (True, {"host": "::"}, BadRequest, "keys and events would travel as plain text"),
        (True, {"host": "events.example.com"}, BadRequest, "valid are localhost and IP addresses"),
        (True, {"behind_proxy": "proxy"}, BadRequest, "valid is an IP address, or a network"),
        (True, {"tls_cert": "a.pem"}, BadRequest, "TLS needs both"),
        (True, {"behind_proxy": "::1", **FILES}, BadRequest, "leave out --tls-cert"),
        (True, FILES, FolderError, "cannot be used"),
    ],
)
def test_what_is_refused(tmp_path, has_key, given, kind, says):
    if has_key:
        Keys(keys_path(tmp_path)).create(Wanted("a", ["put"]), 0)
    with pytest.raises(kind, match=says):
        Listening.of(resolve({"data": str(tmp_path), **given}))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.9", "::1"])
def test_loopback_needs_nothing(tmp_path, host):
    listening = Listening.of(resolve({"data": str(tmp_path), "host": host, "port": "0"}))
    with listening.bind() as bound:
        assert listening.url(bound).startswith("http://[::1]:" if host == "::1" else "http://127.0.0.")
