"""Settings: where a value comes from, what is valid, and that the docs list every one."""

from pathlib import Path

import pytest

from datawarehouse.errors import BadRequest
from datawarehouse.settings import SETTINGS, resolve

ROOT = Path(__file__).parents[2]


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path):
    file = tmp_path / "dw.toml"
    file.write_text('port = 3\nhost = "::1"\nquery_threads = 5\n')
    settings = resolve({"port": "1"}, {"DW_PORT": "2", "DW_HOST": "127.0.0.2", "OTHER": "x"}, file)
    shown = {name: (each.value, each.source) for name, each in settings.resolved.items()}
    assert shown["port"] == (1, "flag")
    assert shown["host"] == ("127.0.0.2", "environment")
    assert shown["query_threads"] == (5, "dw.toml")
    assert shown["data"] == ("data", "default")


@pytest.mark.parametrize(
    ("given", "value"), [("1024", 1024), ("2KiB", 2048), ("2 kb", 2000), ("1MiB", 1024**2), (1_000_000, 1_000_000)]
)
def test_bytes_can_be_written_with_a_unit(given, value):
    assert resolve({"record_bytes_max": given})["record_bytes_max"] == value


@pytest.mark.parametrize(("given", "value"), [("yes", True), ("FALSE", False), (True, True), ("0", False)])
def test_yes_and_no(given, value):
    assert resolve({"shard_rate_limited": given})["shard_rate_limited"] is value


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"port": "x"}, r"--port is 'x'; valid is a whole number \(port\)"),
        ({"port": "65536"}, "--port is 65536; valid is 0 to 65535 port"),
        ({"port": "1MiB"}, "valid is a whole number"),
        ({"record_bytes_max": "1 acre"}, "valid is a number of bytes, such as 1048576 or 64MiB"),
        ({"record_bytes_max": "20MiB"}, "valid is 1024 to 10485760 bytes"),
        ({"shard_rate_limited": "maybe"}, "valid are yes and no"),
        ({"log_format": "xml"}, "--log-format is 'xml'; valid are text and json"),
        ({"colour": "red"}, r"Unknown setting 'colour' \(option\); valid are data, host"),
    ],
)
def test_a_wrong_value_says_what_is_valid(flags, says):
    with pytest.raises(BadRequest, match=says):
        resolve(flags)


def test_a_variable_that_is_nearly_a_settings_says_so():
    with pytest.raises(BadRequest, match=r"has DW_PROT, which is no setting. Did you mean DW_PORT\?"):
        resolve(environment={"DW_PROT": "1"})
    others = {"DW_TEST_SEED": "1", "DW_DATABASE": "x", "DW_TABLE": "x", "DW_STREAM": "x", "PROT": "1", "DW_": ""}
    assert dict(resolve(environment=others)) == dict(resolve())


def test_a_wrong_file_says_so(tmp_path):
    file = tmp_path / "dw.toml"
    file.write_text("port = = 1")
    with pytest.raises(BadRequest, match=r"dw.toml is not valid TOML"):
        resolve(file=file)
    file.write_text("porte = 1")
    with pytest.raises(BadRequest, match=r"Unknown setting 'porte' \(dw.toml\)"):
        resolve(file=file)
    with pytest.raises(BadRequest, match="DW_PORT is '-1'"):
        resolve(environment={"DW_PORT": "-1"})


def test_the_reference_lists_every_setting_and_no_other():
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    expected = ["| setting | default | unit | what it is |", "| --- | --- | --- | --- |"]
    for setting in SETTINGS:
        unit = setting.unit.replace("|", " or ")
        expected.append(f"| `{setting.name}` | {as_written(setting.default)} | {unit} | {setting.help} |")
    assert [line for line in text.splitlines() if line.startswith("|")] == expected


def as_written(default):
    """A default as one would write it; not looked up in a dictionary, where 1 is the key True."""
    if isinstance(default, bool):
        return "`yes`" if default else "`no`"
    return "empty" if default == "" else f"`{default}`"


def test_a_default_is_read_back_as_itself():
    """What the reference says is what `dw up` takes: the same value, and a number is no yes."""
    for setting in SETTINGS:
        written = as_written(setting.default).strip("`").replace("empty", "")
        value = resolve({setting.name: written})[setting.name]
        assert (type(value), value) == (type(setting.default), setting.default), setting.name
