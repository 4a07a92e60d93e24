"""The reference has every verb, every option of its own, and exactly the exit codes of the command."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from datawarehouse import errors
from datawarehouse.cli.main import VERBS, main
from datawarehouse.settings import SETTINGS

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_has_every_option(verb):
    assert f"`dw {verb}" in TEXT
    parser = argparse.ArgumentParser()
    importlib.import_module(f"datawarehouse.cli.{verb.replace('-', '_')}").add_arguments(parser)
    settings = {setting.flag for setting in SETTINGS}
    for option in re.findall(r"--[a-z-]+", parser.format_help()):
        assert option in settings | {"--help"} or option in TEXT, f"dw {verb} {option}"


def test_the_reference_has_every_exit_code():
    codes = set(re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE))
    named = set(re.findall(r"(?:codes: |, )(\d+) ", " ".join(main.__globals__["__doc__"].split())))
    assert named | {"130"} == codes
    of_errors = {str(kind.exit_code) for kind in vars(errors).values() if isinstance(kind, type)
                 and issubclass(kind, errors.DataWarehouseError)}  # fmt: skip
    assert of_errors | {"0", "20", "21", "130"} == codes  # 20, 21: results of an audit, 20 also of a doctor


def test_help_and_version_need_no_verb(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("dw ")
    with pytest.raises(SystemExit):
        main([])
    listed = capsys.readouterr().out
    assert all(f"  {verb} " in listed for verb in VERBS)
    assert main(["nonsense"]) == 2
