"""What goes into the archive of a function."""

import importlib
import sys

import pytest

from datawarehouse.aws.packaging import entry, handler_code, job_code, library, user_files
from datawarehouse.errors import DeclarationError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes the user's files, and imports the module `jobs.main` or `main` of them."""

    def write(files, module):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        imported = importlib.import_module(module)
        for name in [name for name in sys.modules if name.split(".")[0] == module.split(".")[0]]:
            monkeypatch.setitem(sys.modules, name, sys.modules[name])
        return imported

    return write


def test_the_modules_beside_a_job_that_it_imports_go_along_and_no_others(project):
    module = project(
        {
            "packed_a.py": "import packed_b\nfrom packed_c.deep import value\ndef job(job): return packed_b.rows()",
            "packed_b.py": "import json\ndef rows():\n    from packed_d import more\n    return more",
            "packed_c/__init__.py": "",
            "packed_c/deep.py": "from . import sibling\nfrom .cousins.one import x\nvalue = 1",
            "packed_c/sibling.py": "",
            "packed_c/cousins/__init__.py": "",
            "packed_c/cousins/one.py": "x = 1",
            "packed_c/unused.py": "import pandas",
            "packed_d.py": "more = []",
            "unused.py": "import pandas",
            "data.csv": "1,2",
        },
        "packed_a",
    )
    assert sorted(user_files("Job", module.job)) == [
        "packed_a.py",
        "packed_b.py",
        "packed_c/__init__.py",
        "packed_c/cousins/__init__.py",
        "packed_c/cousins/one.py",
        "packed_c/deep.py",
        "packed_c/sibling.py",
        "packed_d.py",
    ]


def test_a_job_in_a_package_keeps_its_dotted_name(project):
    module = project(
        {"packed_e/__init__.py": "", "packed_e/jobs.py": "from .rows import rows\ndef job(job): return rows",
         "packed_e/rows.py": "rows = []"},
        "packed_e.jobs",
    )  # fmt: skip
    assert entry(module.job) == "packed_e.jobs:job"
    assert sorted(user_files("Job", module.job)) == ["packed_e/__init__.py", "packed_e/jobs.py", "packed_e/rows.py"]


def test_a_fault_in_a_module_further_away_names_its_line(project):
    module = project(
        {"packed_f.py": "import packed_g\ndef job(job): return []", "packed_g.py": "\n\nimport numpy"}, "packed_f"
    )
    with pytest.raises(DeclarationError, match=r"Job: packed_g.py:3 imports 'numpy', which Lambda does not have"):
        user_files("Job", module.job)


def test_an_archive_is_text_of_this_package_and_of_the_job(project):
    module = project({"packed_h.py": "from datawarehouse import Warehouse\ndef job(job): return []"}, "packed_h")
    code = job_code("Job", module.job, "run_job.handler")
    assert code.handler == "datawarehouse.functions.run_job.handler"
    assert {"packed_h.py", "datawarehouse/__init__.py", "datawarehouse/definition/warehouse.py"} < code.files.keys()
    assert {path.split("/")[1] for path in code.files if path.startswith("datawarehouse/")} == {
        "__init__.py", "errors.py", "definition", "functions"
    }  # fmt: skip
    assert all(path.endswith(".py") for path in code.files)
    assert sum(map(len, code.files.values())) < 500_000
    assert sorted(code.archive().assets) == list(code.archive().assets)


def test_a_handler_of_ones_own_brings_this_package_only_if_it_uses_it(project):
    module = project(
        {"packed_i.py": "def tidy(event, context): pass",
         "packed_j.py": "import datawarehouse.definition.partition\ndef tidy(event, context): pass"},
        "packed_i",
    )  # fmt: skip
    assert sorted(handler_code("Cron", module.tidy).files) == ["packed_i.py"]
    assert handler_code("Cron", module.tidy).handler == "packed_i.tidy"
    using = handler_code("Cron", importlib.import_module("packed_j").tidy)
    assert "datawarehouse/definition/partition.py" in using.files


def test_the_generator_goes_along_where_it_is_asked_for():
    code = library("generate_events.handler", "generator", extra={"events.json": "{}"})
    assert {"events.json", "datawarehouse/generator/events.py"} < code.files.keys()


DECORATOR = """
import functools
def counted(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)
    return call
"""


def test_a_decorated_job_brings_its_own_module_and_the_decorators(project):
    source = "from packed_k import counted\n@counted\ndef job(job): return []\n@counted\ndef tidy(event, context): pass"
    module = project({"packed_k.py": DECORATOR, "packed_l.py": source}, "packed_l")
    assert sorted(user_files("Job", module.job)) == ["packed_k.py", "packed_l.py"]
    assert handler_code("Cron", module.tidy).handler == "packed_l.tidy"


def test_a_function_that_its_module_has_under_another_name_or_that_nobody_awaits(project):
    source = """
from packed_m import counted
def plain(event, context): pass
decorated = counted(plain)
async def later(event, context): pass
"""
    module = project({"packed_m.py": DECORATOR, "packed_n.py": source}, "packed_n")
    said = r"plain is not what other processes find under that name in its module 'packed_n'"
    with pytest.raises(DeclarationError, match=said):
        handler_code("Cron", module.decorated)
    with pytest.raises(DeclarationError, match="later is `async`, and nothing awaits it"):
        handler_code("Cron", module.later)


def test_of_what_is_installed_only_the_package_of_the_job_goes_along(project, tmp_path, monkeypatch):
    module = project(
        {
            "packed_o/__init__.py": "",
            "packed_o/jobs.py": "from packed_o import rows\ndef job(job): return rows",
            "packed_o/rows.py": "import packed_p",
            "packed_p/__init__.py": "",
        },
        "packed_o.jobs",
    )
    assert "packed_p/__init__.py" in user_files("Job", module.job)
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path)])
    with pytest.raises(DeclarationError, match=r"packed_o/rows.py:1 imports 'packed_p', which Lambda does not have"):
        user_files("Job", module.job)


def test_a_folder_that_has_no_module_is_none(project):
    module = project({"packed_q.py": "def job(job):\n    import pandas", "pandas/data.csv": "1"}, "packed_q")
    with pytest.raises(DeclarationError, match=r"packed_q.py:2 imports 'pandas', which Lambda does not have"):
        user_files("Job", module.job)


@pytest.mark.parametrize(
    ("number", "source"),
    list(
        enumerate(
            [
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nowhere\nelse:\n    import pyarrow\n",
                "try:\n    import nowhere\nexcept ImportError:\n    import pyarrow\n",
                "try:\n    import json\nexcept ImportError:\n    pass\nelse:\n    import pyarrow\n",
            ]
        )
    ),
)
def test_what_runs_when_something_is_not_there_must_be_there(project, number, source):
    module = project({f"packed_r{number}.py": source + "def job(job): return []"}, f"packed_r{number}")
    with pytest.raises(DeclarationError, match="imports 'pyarrow', which Lambda does not have"):
        user_files("Job", module.job)
