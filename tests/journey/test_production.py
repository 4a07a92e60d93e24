"""The server of docs/guides/production.md, from its files: each of its users may do its part and nothing else."""

import configparser
import json
import os
import re
import shutil
import ssl
import subprocess
import tomllib
from pathlib import Path

import boto3
import httpx
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError
from receiving import CERTIFICATE
from running import DECLARATION, DW, command, running

from datawarehouse.settings import resolve

FILES = Path(__file__).parents[2] / "examples" / "production"
GUIDE = FILES.parents[1] / "docs" / "guides" / "production.md"
PAGE = "https://shop.example.com"


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string((FILES / "dw.service").read_text())
    return parser


@pytest.fixture(scope="module")
def server(tmp_path_factory, unit):
    """The guide's server in a folder, and the keys that the guide makes."""
    folder = tmp_path_factory.mktemp("production")
    (folder / "warehouse.py").write_text(DECLARATION)
    text = (FILES / "dw.toml").read_text()
    for there, here in (("/var/lib/dw", folder), ("/etc/dw/tls/fullchain.pem", CERTIFICATE),
                        ("/etc/dw/tls/privkey.pem", CERTIFICATE), ("/mnt/backups/dw", folder / "backups")):  # fmt: skip
        assert there in text
        text = text.replace(there, str(here))
    (folder / "dw.toml").write_text(text)
    keys = {}
    for name, given in re.findall(r"^dwk create (\S+) +(--.*)$", GUIDE.read_text(), re.MULTILINE):
        made = command(folder, "keys", "create", name, *given.split(), "--output", "json")
        assert made.returncode == 0, made.stderr
        keys[name] = json.loads(made.stdout)
    program, verb, *arguments = unit["Service"]["ExecStart"].split()
    assert (program, verb, arguments) == ("/opt/dw/bin/dw", "up", ["--warehouse", "/etc/dw/warehouse.py"])
    with (
        running(folder, declaration=None) as started,
        httpx.Client(base_url=started.url, verify=ssl.create_default_context(cafile=CERTIFICATE)) as client,
    ):
        yield started, client, keys


def bearer(key):
    return {"Authorization": f"Bearer {key['token']}"}


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_everybody_does_its_part_and_nothing_else(server):
    started, client, keys = server
    assert started.url.startswith("https://")
    tracker, ann, billing, page, prometheus = (
        keys[name] for name in ("tracker", "ann", "billing", "shop-page", "prometheus")
    )
    events, views = "/v1/tables/clicks/events", "/v1/tables/views/events"
    with_token = {"params": {"token": page["token"]}, "headers": {"Origin": PAGE}}

    def kinesis(key):
        return boto3.client(
            "kinesis", endpoint_url=started.url, region_name="eu-west-1", aws_access_key_id=key["id"],
            aws_secret_access_key=key["secret"], verify=str(CERTIFICATE),
            config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def asked(key, sql, **more):
        return client.post("/v1/query", json={"sql": sql, "format": "json", **more}, headers=bearer(key))

    # what they may
    put = kinesis(tracker).put_records(StreamName="clicks", Records=[{"Data": b'{"id":"a"}', "PartitionKey": "a"}] * 3)
    assert put["FailedRecordCount"] == 0
    assert client.post(events, content=b'{"id":"b"}', **with_token).json() == {"accepted": 1}
    started.dw("flush", "--data", started.folder / "data")
    hour = "inserted_at >= date_format(now() - interval '2' hour, '%Y/%m/%d/%H')"
    assert asked(ann, f"select count(*) as n from clicks where {hour}").json() == [{"n": 4}]
    assert asked(billing, "select count(*) as n from clicks").json() == [{"n": 4}]
    assert client.get("/metrics", headers=bearer(prometheus)).status_code == 200
    assert client.get("/health").status_code == client.get("/ready").status_code == 200

    # what they may not
    refused = [
        ("tracker", client.post(views, content=b"{}", headers=bearer(tracker)), (403, "AccessDenied")),
        ("tracker", asked(tracker, "select 1"), (403, "AccessDenied")),
        ("tracker", client.get("/metrics", headers=bearer(tracker)), (403, "AccessDenied")),
        ("tracker", client.get("/v1/admin/keys", headers=bearer(tracker)), (403, "AccessDenied")),
        ("ann", asked(ann, "select * from views"), (403, "AccessDenied")),
        ("ann", asked(ann, "select * from clicks_quarantine"), (403, "AccessDenied")),
        ("ann", asked(ann, "select count(*) from clicks"), (403, "ScanRefused")),
        ("ann", asked(ann, "select 1", workgroup="production"), (403, "AccessDenied")),
        ("ann", client.post(events, content=b"{}", headers=bearer(ann)), (403, "AccessDenied")),
        ("billing", client.post("/v1/admin/flush", headers=bearer(billing)), (403, "AccessDenied")),
        ("shop-page", client.post(views, content=b"{}", **with_token), (403, "AccessDenied")),
        ("shop-page", client.post("/v1/query", json={"sql": "select 1"}, **with_token), (403, "AccessDenied")),
        ("shop-page", client.post(events, content=b"{}", params=with_token["params"]), (403, "AccessDenied")),
        ("prometheus", asked(prometheus, "select 1"), (403, "AccessDenied")),
        ("prometheus", client.get("/v1/admin/status", headers=bearer(prometheus)), (403, "AccessDenied")),
        ("", client.post(events, content=b"{}"), (401, "Unauthorized")),
        ("", client.post(events, content=b"{}", headers={"Authorization": "Bearer a.b"}), (401, "Unauthorized")),
    ]
    for name, answer, expected in refused:
        assert code(answer) == expected, (name, answer.request.url, answer.text)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        kinesis(tracker).put_record(StreamName="views", Data=b"{}", PartitionKey="a")

    # and all of it is counted
    metrics = client.get("/metrics", headers=bearer(prometheus)).text
    expected = {(name, answer[1]) for name, _, answer in refused} | {("tracker", "AccessDeniedException")}
    for name, reason in expected:
        count = sum((each, answer[1]) == (name, reason) for each, _, answer in refused) or 1
        assert f'dw_key_requests_refused_total{{key="{name}",reason="{reason}"}} {count}.0' in metrics
    log = (started.folder / "errors.log").read_text()
    assert '"audit: tracker from 127.0.0.1: GET /v1/admin/keys: AccessDenied"' in log
    assert '"audit: billing from 127.0.0.1: POST /v1/admin/flush: AccessDenied"' in log
    for key in keys.values():
        assert key["token"] not in log and key.get("secret", key["token"]) not in log


def test_rules_and_dashboard_ask_for_metrics_that_there_are(server):
    _, client, keys = server
    metrics = client.get("/metrics", headers=bearer(keys["prometheus"])).text
    there = set(re.findall(r"^# TYPE (\w+)", metrics, re.MULTILINE))
    there |= {name.removesuffix("_total") for name in there} | {f"{name}_total" for name in there}
    there |= {"dw_backup_age_seconds", "dw_audit_age_seconds"}  # once there is one
    rules = yaml.safe_load((FILES / "rules.yml").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for group in rules["groups"] for rule in group["rules"]}) == len(asked) == 8
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for text in asked for name in re.findall(r"\bdw_\w+", text)}
    assert len(names) > 10
    assert names <= there, names - there
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in dashboard["panels"]})
    read = yaml.safe_load((FILES / "prometheus.yml").read_text())
    assert read["rule_files"] == ["rules.yml"]
    [job] = read["scrape_configs"]
    assert f'job="{job["job_name"]}"' in asked[0]


def test_the_unit_is_one(unit, tmp_path):
    assert unit["Service"]["User"] == "dw"
    settings = tomllib.loads((FILES / "dw.toml").read_text())
    resolve(settings)
    assert settings["data"].startswith(f"/var/lib/{unit['Service']['StateDirectory']}/")
    assert settings["backup_to"].startswith(unit["Service"]["ReadWritePaths"].lstrip("-"))
    if not shutil.which("systemd-analyze"):
        pytest.skip("this machine has no systemd")
    copy = tmp_path / "dw.service"
    copy.write_text((FILES / "dw.service").read_text().replace("/opt/dw/bin/dw", DW))
    checked = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    exposed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", copy],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_COLORS": "0"},
    )  # fmt: skip
    assert exposed.returncode == 0, exposed.stdout.splitlines()[-1]


def test_the_container_starts_what_there_is(tmp_path):
    lines = [line for line in (FILES / "Containerfile").read_text().splitlines() if line and line[0] != "#"]
    said = {line.split()[0]: line.partition(" ")[2] for line in lines}
    assert said["USER"] == "dw"
    for copied in (line.split()[1:-1] for line in lines if line.startswith("COPY")):
        assert all((FILES.parents[1] / each).exists() for each in copied)
    given = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
    assert given[:2] == ["dw", "up"]
    done = command(tmp_path, *given[1:])
    assert (done.returncode, "/etc/dw/warehouse.py" in done.stderr) == (2, True), done.stderr
