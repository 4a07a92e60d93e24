"""What /v1/openapi.json says is what `dw up` does: each route is there, and made-up requests meet no other answer.

schemathesis makes the requests, right ones and wrong ones. A part of each is replaced by what exists here, so that not
all of them end at a name that there is not. `DW_TEST_EXAMPLES=20` makes twenty times as many random runs.
"""

import json
from contextlib import closing

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from running import running
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from datawarehouse.folder import holder_of
from datawarehouse.server.openapi_routes import ROUTES
from patience import patient

DECLARED = """
from datawarehouse import Warehouse


def hourly(job):
    yield {"c": list(job.query("select count(*) from clicks"))[0][0]}


warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_table("facts", {"thing": "string"}, data_format="JSON", partition_keys={"day": "string"})
    .with_batch_input_table("counts", {"c": "bigint"}, hourly, "rate(1 hour)", {"hour": "string"})
    .with_workgroup("daily", scan_bytes_per_day_max=10 * 1024**2)
)
"""
STATEMENTS = [
    "select 1 as one", "select * from clicks", "show tables", "explain select n from clicks", "selec",
    "drop table clicks", "select n / 0 as x from clicks", "select x from clicks", "select * from nothing",
    "select ? as a",
    "select max(n) from clicks where inserted_at > '2020'", "select cast(id as int) from clicks", "",
]  # fmt: skip
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
EXAMPLES = {
    "runJob": 2,
    "runJobAgain": 2,
    "backfillJob": 2,
    "backup": 3,
    "query": 30,
    "submitQuery": 20,
    "sendEvents": 20,
}
FEW = 8
NOT_REFUSED = ("sendEvents", "backup")
"""Malformed events are taken, and kept with their reason; the folder of a back-up is put right below."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(5)]).encode())
        started.flush()
        yield started


@pytest.fixture(scope="module")
def described(shop):
    status, headers, body = shop.request("GET", "/v1/openapi.json", None, owner(shop))
    assert (status, headers["Content-Type"]) == (200, "application/json")
    schema = schemathesis.openapi.from_dict(json.loads(body))
    schema.validate()
    return schema


@pytest.fixture(scope="module")
def known(shop):
    """What exists, by the names of parameters and of fields of bodies."""
    ids = [submitted(shop, sql) for sql in ("select 1", "select x from clicks", "select * from clicks")]
    administer(shop, "POST", "keys", {"name": "spare", "may": ["put"]})
    return {
        "id": ids, "n": [0, 1], "wait_s": [0], "table": ["clicks", "facts", "counts"], "job": ["counts"],
        "sql": STATEMENTS, "workgroup": ["", "adhoc", "batch", "daily"], "name": ["spare"],
        "may": [["put:clicks"], ["query"]],
        "values": [["2026-11-30"]], "at_ms": [0, 10**12], "format": ["csv", "arrow", "json"],
        "parameters": [[], [], [1]],
        "origins": [[], ["https://shop.example.com"]], "limits": [{}, {"events_per_s": 5}], "lifetime_s": [60],
        "overlap_s": [0],
    }  # fmt: skip


def owner(shop):
    return {"Authorization": f"Bearer {holder_of(shop.folder / 'data').token}"}


def administer(shop, method, name, body):
    status, _, answer = shop.request(method, f"/v1/admin/{name}", json.dumps(body), owner(shop))
    assert status < 300, answer
    return json.loads(answer)


def submitted(shop, sql):
    status, _, answer = shop.request("POST", "/v1/queries", json.dumps({"sql": sql}), owner(shop))
    assert status == 202
    id = json.loads(answer)["id"]
    shop.request("GET", f"/v1/queries/{id}?wait_s=20", None, owner(shop))
    return id


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_path_has_the_described_methods_and_no_other(shop, method):
    for path in dict.fromkeys(route.path for route in ROUTES):
        values = {"table": "clicks", "id": submitted(shop, "select 1"), "n": 0, "job": "counts", "name": "mine"}
        there = [route.method for route in ROUTES if route.path == path]
        status, headers, answer = shop.request(method, path.format(**values), b"{}", owner(shop))
        if method in there:
            assert status != 405 and b'"code":"NotFound"' not in answer, (path, answer)
        else:
            assert (status, sorted(headers["Allow"].split(", "))) == (405, sorted(there)), (path, answer)


def test_where_there_are_keys_any_of_them_may_read_the_description(shop, known):
    key = administer(shop, "POST", "keys", {"name": "reader", "may": ["put:clicks"]})
    assert shop.request("GET", "/v1/openapi.json")[0] == 401
    assert shop.request("GET", "/v1/openapi.json", None, {"Authorization": f"Bearer {key['token']}"})[0] == 200


def test_a_page_that_is_not_there_yet_is_answered_with_the_state(shop, described):
    endless = (
        "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), clicks where x * y = n"
    )
    _, _, answer = shop.request("POST", "/v1/queries", json.dumps({"sql": endless}), owner(shop))
    path = f"/v1/queries/{json.loads(answer)['id']}"
    operation = described["/v1/queries/{id}/pages/{n}"]["GET"]
    case = operation.Case(path_parameters={"id": json.loads(answer)["id"], "n": 0})
    response = case.call(base_url=shop.url, headers=owner(shop))
    assert response.status_code == 202
    case.validate_response(response, checks=CHECKS)
    assert shop.request("DELETE", path, None, owner(shop))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"sql": "select 1", "parameters": [' + b"9" * 30 + b"]}",
        b'{"sql": "select 1", "parameters": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"job": "counts", "at_ms": 253402300800000}',
        b'{"job": "counts", "other": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b"\xff",
        b"",
    ],
    ids=["large", "deep", "late", "deep object", "no text", "nothing"],
)
def test_a_body_that_has_to_be_refused_is(shop, body):
    for route in ROUTES:
        if isinstance(route.body.get("application/json"), type):
            path = route.path.format(job="counts", name="mine")
            status, _, answer = shop.request(route.method, path, body, owner(shop))
            is_long = route.id == "signIn" and len(body) > 16 * 1024  # nobody has shown a key there
            refused = (413, "BodyTooLarge") if is_long else (400, "BadRequest")
            assert (status, json.loads(answer)["error"]["code"]) == refused, (route.id, answer)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.id)
def test_a_number_or_a_word_without_a_value_is_refused(shop, known, route):
    values = {"table": "clicks", "id": known["id"][0], "n": 0, "job": "counts", "name": "mine"}
    for parameter in route.parameters:
        if parameter.place == "query" and (parameter.shape.get("type") == "integer" or "enum" in parameter.shape):
            path = f"{route.path.format(**values)}?{parameter.name}="
            status, _, answer = shop.request(route.method, path, None, owner(shop))
            assert status == 400 and f"{parameter.name} is ''" in json.loads(answer)["error"]["message"], (path, answer)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.id)
@pytest.mark.seeds(fixed=1, random=1)
def test_made_up_requests_have_the_described_answers(shop, described, known, tmp_path, route, seed):
    operation = described[route.path][route.method]
    right, wrong = (
        operation.as_strategy(generation_mode=mode)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    )

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES.get(route.id, FEW),
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=st.one_of(right, wrong), data=st.data())
    def ask(case, data):
        is_right = case.meta.generation.mode.is_positive
        for values in (case.path_parameters, case.query, case.body) if is_right else ():
            for name in sorted(values.keys() & known.keys()) if isinstance(values, dict) else ():
                if data.draw(st.integers(0, 3)):
                    values[name] = data.draw(st.sampled_from(known[name]))
        if isinstance(case.body, dict) and "to" in case.body:  # nothing is written elsewhere
            case.body["to"] = str(tmp_path / "backups")
        response = case.call(base_url=shop.url, session=session, headers=owner(shop), timeout=patient(60))
        is_refused = [] if is_right or route.id in NOT_REFUSED else [negative_data_rejection]
        case.validate_response(response, checks=[*CHECKS, *is_refused])

    with closing(requests.Session()) as session:
        ask()
