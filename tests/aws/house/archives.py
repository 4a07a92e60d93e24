"""The code of a function: what its archive must have for the handler and the job to run."""

from __future__ import annotations

import ast
import functools
import json
import re
import sys

from graph import Node

from house.world import Errors, World, about, get


def handler_errors(node: Node) -> Errors:
    """The handler is a function at the top of a module of the archive."""
    handler, code = node.inputs.get("handler"), node.inputs.get("code")
    if not isinstance(handler, str) or not re.fullmatch(r"[\w./-]+\.\w+", handler):
        yield f"handler is {handler!r}, not module.function"
        return
    if not isinstance(code, dict) or "assets" not in code:
        if not (isinstance(code, dict) and code.get("path")):
            yield "code is not an archive"
        return
    module, _, name = handler.rpartition(".")
    wanted = [(module, name)]
    variables = get(node.inputs, "environment.variables") or {}
    if isinstance(job := variables.get("DW_JOB"), str):
        wanted.append((job.partition(":")[0], job.partition(":")[2]))
    for module, name in wanted:
        path = module.replace(".", "/")
        names = (f"{path}.py", f"{path}/__init__.py")
        source = next((code["assets"][one] for one in names if one in code["assets"]), None)
        if source is None:
            yield f"{module}.{name}: the archive has no {names[0]}"
        elif isinstance(source, dict) and "text" in source and name not in _functions(source["text"]):
            yield f"{module}.{name}: {module} defines no function {name}"


# What Lambda's Python has beside the standard library (developer guide, "Runtime-included SDK versions").
_PROVIDED = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}


_MAY_LACK = {"mypy_extensions", "sqlglotrs"}
"""What sqlglot tries to import, and does without."""


@about("Function")
def import_rule(node: Node) -> Errors:
    """What the handler and the job import, and what that imports, is packaged or there on Lambda; data as well."""
    files = get(node.inputs, "code.assets")
    if not isinstance(files, dict):
        return
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in files}
    own = {module.partition(".")[0] for module in modules}
    job = str(get(node.inputs, "environment.variables.DW_JOB") or "").partition(":")[0]
    waiting = [one for one in (str(node.inputs.get("handler")).rpartition(".")[0], job) if one]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        name = modules.get(module)
        if module.partition(".")[0] not in own:
            if module.partition(".")[0] not in sys.stdlib_module_names | _PROVIDED:
                yield f"{module} is imported, which Lambda does not have"
        elif name is None:
            yield f"{module} is imported, which the archive does not have"
        elif isinstance(files[name], dict) and "text" in files[name]:
            imported = _imports(files[name]["text"], module.startswith("sqlglot"))
            waiting.extend(sorted(imported - _MAY_LACK))
            for package, names in _taken(files[name]["text"]):
                home = modules.get(package, "")
                if home.startswith("datawarehouse/") and home.endswith("/__init__.py"):
                    begin = files[home]["text"]
                    defined = names if "__getattr__" in begin else _functions(begin)
                    waiting.extend(f"{package}.{each}" for each in sorted(names - defined))
            parts = module.split(".")
            waiting.extend(".".join(parts[:count]) for count in range(1, len(parts)))
    if str(node.inputs.get("handler")).startswith("datawarehouse.functions.generate_events"):
        try:
            json.loads(files["events.json"]["text"])["tables"]
        except (KeyError, TypeError, ValueError) as error:
            yield f"events.json: {error!r}"
    if str(node.inputs.get("handler")).startswith("datawarehouse.functions.run_sql") and "statement.sql" not in files:
        yield "the archive has no statement.sql"
    if str(node.inputs.get("handler")).startswith("datawarehouse.functions.gateway") and "workgroups.json" not in files:
        yield "the archive has no workgroups.json"


@about("Function")
def library_rule(node: Node, world: World) -> Errors:
    """Every archive has the same files of this package, but for the generator's and the guard's."""
    if not (own := _library(node)):
        return
    every = set().union(*(_library(one) for one in world.all("Function")))
    if missing := every - own:
        yield f"its archive lacks {sorted(missing)}, which that of another function has"


def _library(node: Node) -> set[str]:
    files = get(node.inputs, "code.assets")
    names = files if isinstance(files, dict) else ()
    not_of_all = ("datawarehouse/generator/", "datawarehouse/sql/")
    return {one for one in names if one.startswith("datawarehouse/") and not one.startswith(not_of_all)}


@functools.lru_cache(maxsize=1000)
def _imports(source: str, is_at_top: bool = False) -> frozenset[str]:
    """The modules that a module imports, without those that only type checkers read. is_at_top: not those that its
    functions import, which are of a library of others."""
    found: set[str] = set()
    body = list(ast.parse(source).body)
    while body:
        one = body.pop()
        if isinstance(one, ast.If) and ast.unparse(one.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(one, ast.Import):
            found |= {alias.name for alias in one.names}
        elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
            found.add(one.module)
        if is_at_top and isinstance(one, ast.FunctionDef | ast.ClassDef):
            continue
        body.extend(child for child in ast.iter_child_nodes(one) if isinstance(child, ast.stmt))
    return frozenset(found)


@functools.lru_cache(maxsize=1000)
def _taken(source: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """What a module takes from which other one, at its top: names, or modules of a package."""
    found = (one for one in ast.parse(source).body if isinstance(one, ast.ImportFrom) and one.module and not one.level)
    return tuple((str(one.module), frozenset(alias.name for alias in one.names)) for one in found)


@functools.lru_cache(maxsize=1000)
def _functions(source: str) -> frozenset[str]:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return frozenset()
    names = {one.name for one in body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for one in body:
        if isinstance(one, ast.Assign):
            names |= {target.id for target in one.targets if isinstance(target, ast.Name)}
        elif isinstance(one, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in one.names}
    return frozenset(names)
