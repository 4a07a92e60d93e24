"""The pytest plugin and the project that `dw init` writes, as their user runs them."""

import subprocess
import sys
from pathlib import Path

DW = str(Path(sys.executable).parent / "dw")


# Plugins of our own tests, which a user need not have; their imports take half of a run.
PLUGINS = ("cacheprovider", "xdist", "hypothesispytest", "schemathesis", "anyio")
WITHOUT = [word for name in PLUGINS for word in ("-p", f"no:{name}")]


def pytest_in(folder, *arguments):
    command = [sys.executable, "-m", "pytest", *WITHOUT, "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_tests_of_a_new_project_pass_and_would_fail(tmp_path):
    done = subprocess.run([DW, "init", "shop"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Wrote shop/warehouse.py, shop/test_warehouse.py, shop/Makefile.")
    project = tmp_path / "shop"
    passed = pytest_in(project)
    assert (passed.returncode, passed.stdout.splitlines()[-1].split(" in ")[0]) == (0, "3 passed"), passed.stdout

    declaration = project / "warehouse.py"
    text = declaration.read_text()
    for right, wrong, failing in (
        ("select count(*)", "select 2 * count(*)", {"an_hour_is_counted", "a_failed_run_is_made_up_for"}),
        ('"event_time": "timestamp"', '"event_time": "string"', {"a_malformed_event_is_kept"}),
        ('("clicks", "impressions"):', '("clicks",):', {"an_hour_is_counted", "a_failed_run_is_made_up_for"}),
    ):
        assert right in text
        declaration.write_text(text.replace(right, wrong))
        failed = pytest_in(project, "-rf")
        assert failed.returncode == 1
        assert all(f"FAILED test_warehouse.py::test_{name}" in failed.stdout for name in failing), failed.stdout

    again = subprocess.run([DW, "init", "shop"], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert "nothing was written" in again.stderr


def test_the_guide_s_test_passes_in_a_new_project(tmp_path):
    subprocess.run([DW, "init", "."], cwd=tmp_path, check=True, capture_output=True)
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "testing.md").read_text()
    first, _, without_pytest = guide.partition("```python\n")[2].partition("```")
    (tmp_path / "test_warehouse.py").write_text(first)
    done = pytest_in(tmp_path)
    assert "1 passed" in done.stdout, done.stdout
    script = without_pytest.partition("```python\n")[2].partition("```")[0]
    assert "simulate" in script
    (tmp_path / "script.py").write_text(
        "from datetime import UTC, datetime\nfrom warehouse import warehouse\n"
        + script
        + "    print(w.now, len(w.runs()))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2026-11-26 07:00:00+00:00 72\n", done.stderr


def test_make_test_in_a_new_project(tmp_path):
    subprocess.run([DW, "init", "."], cwd=tmp_path, check=True, capture_output=True)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["make", "test"], cwd=tmp_path, capture_output=True, text=True, env={"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_declaration_is_where_the_configuration_says(tmp_path):
    (tmp_path / "analytics").mkdir()
    (tmp_path / "analytics" / "tables.py").write_text(
        "from datawarehouse import Warehouse\n"
        "dw = Warehouse('w').with_streaming_input_table('clicks', {'id': 'string'})\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\ndatawarehouse = analytics/tables.py:dw\n")
    (tmp_path / "test_it.py").write_text(
        "def test_first(warehouse):\n"
        "    warehouse.put('clicks', {'id': 'a'})\n"
        "    warehouse.assert_table('clicks', [{'id': 'a'}])\n"
        "def test_second(warehouse):\n"
        "    warehouse.assert_table('clicks', [])\n"
        "    import sys\n"
        "    assert 'pandas' not in sys.modules, 'pyarrow loads it with the first array, if nothing keeps it away'\n"
        "    assert list(warehouse.query('select 1 as one').df()['one']) == [1]\n"
    )
    done = pytest_in(tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    (tmp_path / "pytest.ini").unlink()
    done = pytest_in(tmp_path)
    assert done.returncode == 1
    assert "There is no declaration" in done.stdout


def test_a_project_that_has_no_warehouse_is_left_alone(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_nothing_is_loaded():\n"
        "    assert not {'duckdb', 'pyarrow', 'datawarehouse.runtime'} & set(sys.modules)\n"
    )
    done = pytest_in(tmp_path)
    assert "1 passed" in done.stdout, done.stdout
