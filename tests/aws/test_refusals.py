"""A program that is refused says so in one line, with the exit code of an error of the user's."""

import textwrap

import pytest
from engine import Engine
from recorder import deploy

from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.errors import DeclarationError, UnknownName

PROGRAM = """
import pulumi
from datawarehouse import Warehouse
from datawarehouse.aws import *

{body}
"""
COLUMNS = "{'id': 'string'}"


def ran(folder, body):
    (folder / "__main__.py").write_text(PROGRAM.format(body=textwrap.dedent(body)))
    return Engine().run(folder)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("ServerlessDataWarehouse('dw', {'is_dev': 'yes'})", "ServerlessDataWarehouse 'dw': is_dev is 'yes'"),
        (
            f"ServerlessDataWarehouse('dw', {{}}).with_table('facts', {COLUMNS}).with_table('facts', {COLUMNS})",
            "Warehouse 'dw' already has a table 'facts'",
        ),
        ("ServerlessDataWarehouse('dw', {}).get_table('clicks')", "Warehouse 'dw' has no table 'clicks'"),
        ("ServerlessDataWarehouse('dw', {}).get_input_stream('clicks')", "has no input stream 'clicks'"),
        ("InputStream('s', {})", "InputStream 's': the argument 'bucket' is missing"),
        ("LambdaCronJob('c', {'schedule_expression': 'hourly', 'job': print})", "hourly"),
        ("PrivateBucket('Data', {})", "PrivateBucket 'Data': the name is not valid"),
        ("Workgroups('w', {})", "Workgroups 'w'"),
        ("ReaderRole('r', {})", "ReaderRole 'r'"),
        ("BatchInputJob('j', {})", "BatchInputJob 'j'"),
        ("EventGenerator('g', {})", "EventGenerator 'g'"),
        ("HourlyPartitionRegistrar('h', {})", "HourlyPartitionRegistrar 'h'"),
    ],
)
def test_a_refusal_is_one_line(tmp_path, body, said):
    done = ran(tmp_path, body)
    [(severity, text)] = [line for line in done.log if line[0] != "INFO"]
    assert (done.code, severity) == (1, "ERROR")
    assert said in text and "\n" not in text and "Traceback" not in done.messages


def test_an_error_that_is_no_refusal_keeps_its_traceback(tmp_path):
    done = ran(tmp_path, "ServerlessDataWarehouse('dw', {}).with_table('facts', 1 / 0)")
    assert done.code == 32 and "ZeroDivisionError" in done.messages and "Traceback" in done.messages


def test_refusals_stay_what_they_are_to_those_who_catch_them():
    def program():
        with pytest.raises(DeclarationError, match="is_dev") as refused:
            ServerlessDataWarehouse("dw", {"is_dev": "yes"})
        assert isinstance(refused.value, ValueError) and refused.value.exit_code == 2
        assert isinstance(refused.value.__cause__, DeclarationError)
        with pytest.raises(UnknownName, match="no table 'clicks'") as unknown:
            ServerlessDataWarehouse("dw", {}).get_table("clicks")
        assert isinstance(unknown.value, KeyError)

    deploy(program)
