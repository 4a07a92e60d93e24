"""Where `--on aws` finds the deployed warehouse, and what it says when it does not."""

import json
import os
import stat
import subprocess
import sys

import pytest

from datawarehouse.errors import BadRequest, UnknownName
from datawarehouse.operate.deployment import find_deployment

ADDRESSES = {
    "warehouse": "analytics_dw",
    "region": "eu-west-1",
    "database": "analytics_dw_prod",
    "data_bucket": "data-1",
    "results_bucket": "results-1",
    "workgroups": {"adhoc": "analytics_dw-prod-adhoc"},
    "tables": {
        "clicks": {"kind": "streaming input table", "stream": "clicks-1", "delivery": "clicks-2", "of_later": "x"},
        "facts": {"kind": "table"},
    },
}
OUTPUTS = {"database_name": "analytics_dw_prod", "warehouse": ADDRESSES, "count": 3}


@pytest.fixture
def pulumi(tmp_path, monkeypatch):
    """Puts a `pulumi` on the PATH that prints the outputs of a stack, and the arguments that it got on stderr."""

    def put(outputs, code=0):
        path = tmp_path / "bin" / "pulumi"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\nimport os, sys\nprint({json.dumps(outputs)!r})\n"
            f"open({str(tmp_path / 'called')!r}, 'w').write(os.getcwd() + ' ' + ' '.join(sys.argv[1:]))\n"
            f"print('no stack selected', file=sys.stderr)\nsys.exit({code})\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
        return tmp_path / "called"

    return put


def written(folder, value, name="outputs.json"):
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return str(folder / name)


@pytest.mark.parametrize("value", [OUTPUTS, ADDRESSES])
def test_a_file_has_all_outputs_or_the_addresses_alone(tmp_path, value):
    found = find_deployment(written(tmp_path, value), tmp_path / "dw.toml")
    assert (found.region, found.database, found.data_bucket) == ("eu-west-1", "analytics_dw_prod", "data-1")
    assert found.streaming("clicks").stream == "clicks-1" and found.table("facts").kind == "table"


def test_a_named_file_goes_before_dw_toml_and_that_before_pulumi(tmp_path, pulumi):
    called = pulumi(OUTPUTS)
    (tmp_path / "infra").mkdir()
    toml = tmp_path / "dw.toml"
    assert find_deployment(None, toml).database == "analytics_dw_prod"
    assert called.read_text() == f"{tmp_path} stack output --json --non-interactive"
    toml.write_text('port = 1\n[aws]\nprogram = "infra"\nstack = "dev"\n')
    assert find_deployment(None, toml).database == "analytics_dw_prod"
    assert called.read_text() == f"{tmp_path}/infra stack output --json --non-interactive --stack dev"
    called.unlink()
    written(tmp_path, {**ADDRESSES, "database": "of_file"}, "here.json")
    toml.write_text('[aws]\noutputs = "here.json"\n')
    assert find_deployment(None, toml).database == "of_file"
    named = written(tmp_path, {**ADDRESSES, "database": "named"})
    assert find_deployment(named, toml).database == "named"
    assert not called.exists()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "has no addresses of a warehouse"),
        ({"database_name": "x"}, r'pulumi.export\("warehouse", deployed.addresses\)'),
        ({"a": ADDRESSES, "b": ADDRESSES}, "has the addresses of 2 warehouses"),
        ({**ADDRESSES, "region": None}, "not complete: region is None"),
        ({**ADDRESSES, "tables": {"clicks": {"stream": "x"}}}, "not complete: .*kind"),
        ({**ADDRESSES, "tables": {"clicks": "x"}}, "not complete"),
        ({key: value for key, value in ADDRESSES.items() if key != "data_bucket"}, "not complete: 'data_bucket'"),
    ],
)
def test_what_is_not_a_deployment_is_refused(tmp_path, value, says):
    with pytest.raises(BadRequest, match=says):
        find_deployment(written(tmp_path, value), tmp_path / "dw.toml")


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[aws]\nfolder = 'x'", "valid are outputs = FILE, or program = FOLDER and stack = NAME"),
        ("[aws]\noutputs = 3", "valid are outputs"),
        ("aws = 3", "valid are outputs"),
        ("[aws", "is not valid TOML"),
        ("[aws]\noutputs = 'nowhere.json'", "cannot be read from .*nowhere.json"),
        ("[aws]\nprogram = 'nowhere'", "there is no such folder"),
    ],
)
def test_a_wrong_dw_toml_is_refused(tmp_path, toml, says):
    (tmp_path / "dw.toml").write_text(toml)
    with pytest.raises(BadRequest, match=says):
        find_deployment(None, tmp_path / "dw.toml")


def test_without_pulumi_or_a_stack_it_says_what_to_do(tmp_path, pulumi, monkeypatch):
    pulumi({}, code=255)
    with pytest.raises(BadRequest, match=r"failed: no stack selected. Name a file with the outputs: --outputs FILE"):
        find_deployment(None, tmp_path / "dw.toml")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadRequest, match="the Pulumi CLI is not installed"):
        find_deployment(None, tmp_path / "dw.toml")


def test_a_table_of_another_kind_is_named(tmp_path):
    found = find_deployment(written(tmp_path, OUTPUTS), tmp_path / "dw.toml")
    with pytest.raises(UnknownName, match="no table 'clickz'; it has clicks, facts"):
        found.table("clickz")
    with pytest.raises(UnknownName, match="'facts' is a table; the streaming input tables are clicks"):
        found.streaming("facts")
    with pytest.raises(UnknownName, match="the batch input tables are none"):
        found.batch("clicks")


def test_without_boto3_it_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from datawarehouse.cli.main import main\n"
        "sys.exit(main(['query', 'select 1', '--on', 'aws']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("dw query: --on aws needs boto3, which is not installed: pip install '")
