"""The code of Lambda functions, as archives of text files: no paths of the machine, no compiled files, no times.

1. From this package an archive has what functions import: the declaration, the errors and `functions/`. 2. From the
   user's code it has the module of the job and the modules beside it that it imports, under the same names. Installed
   packages (in `site-packages`) do not count as beside it, except the package that has the job itself. 3. Everything
   that these import must exist on Lambda: the standard library of its Python, boto3, or a file of the archive.

Imports are read from the source, also those inside functions. Code that never runs on Lambda is left out: below
`if TYPE_CHECKING:` and `if __name__ == "__main__":`, and in a `try:` that catches ImportError.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import site
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from datawarehouse.definition.job import file_of, not_callable_by_name
from datawarehouse.errors import DeclarationError

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
"""No file is compiled, so the cheaper architecture is used."""

_GONE = {
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp"),
    *("lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau"),
    *("telnetlib", "uu", "xdrlib"),
}
"""Not in Python 3.13 any more (PEP 594, PEP 632, "What's New in Python 3.12" and 3.13)."""
STANDARD_LIBRARY = sys.stdlib_module_names - _GONE
LAMBDA_HAS = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six", "awslambdaric"}
"""Lambda developer guide, "Runtime-included SDK versions": boto3 and what it needs."""

_PACKAGE = Path(__file__).parents[1]
_SHIPPED = ("definition", "functions")
_PARSER = ("sqlglot", "sqlglot.dialects.dialect", "sqlglot.errors")
"""What `sql/` imports of it."""
_PLANNER = ("datawarehouse.sql.guard", "datawarehouse.sql.plan", "datawarehouse.sql.statement")
_PUBLIC = ("Warehouse",)
"""What a job's module may import from the package itself."""


@dataclass(frozen=True, slots=True)
class Code:
    """The files of a function, by path, and the handler in them as Lambda names it."""

    files: Mapping[str, str]
    handler: str

    def archive(self) -> pulumi.AssetArchive:
        return pulumi.AssetArchive({path: pulumi.StringAsset(text) for path, text in sorted(self.files.items())})


def library(handler: str, *more: str, extra: Mapping[str, str] | None = None) -> Code:
    """The code of a function of this package. more: further folders of the package to include; extra: further files."""
    return Code({**(extra or {}), **_own_files((*_SHIPPED, *more))}, f"datawarehouse.functions.{handler}")


@cache
def _own_files(folders: tuple[str, ...]) -> Mapping[str, str]:
    """The files of this package that functions import, by path; a program has a dozen functions with the same ones."""
    paths = [_PACKAGE / name for name in ("__init__.py", "errors.py")]
    for folder in folders:
        paths += sorted((_PACKAGE / folder).glob("*.py"))
    return {f"datawarehouse/{path.relative_to(_PACKAGE).as_posix()}": path.read_text("utf-8") for path in paths}


@cache
def planner_files() -> Mapping[str, str]:
    """The files that plan and guard a statement, by path: those of `sql/` and of sqlglot that these need, directly or
    through others. Of sqlglot that is neither its other dialects nor its engine, which it loads where it needs them."""
    spec = importlib.util.find_spec("sqlglot")
    assert spec and spec.origin
    ours = _needed(_PACKAGE.parent, "datawarehouse.sql", _PLANNER)
    return {**ours, **_needed(Path(spec.origin).parents[1], "sqlglot", _PARSER)}


def _needed(root: Path, package: str, modules: Iterable[str]) -> dict[str, str]:
    """The files of a package below `root` that modules of it import when they are loaded, with their own."""
    files: dict[str, str] = {}
    waiting = [path for module in modules for path in _files(root, _Import(module, ()))]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name not in files:
            files[name] = path.read_text(encoding="utf-8")
            for imported in _loaded(ast.parse(files[name], name).body):
                if f"{imported.module}.".startswith(f"{package}."):
                    waiting += _files(root, imported)
    return files


def _loaded(body: Iterable[ast.stmt]) -> Iterator[_Import]:
    """What a module imports when it is loaded itself, and not in one of its functions."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield _Import(node.module, tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.Try) or (isinstance(node, ast.If) and not _is_skipped(node.test)):
            yield from _loaded(each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt))


def job_code(what: str, function: Callable[..., Any], handler: str) -> Code:
    """The code of a function of this package that calls the user's `function`, with the user's files."""
    found = library(handler)
    return Code({**found.files, **user_files(what, function)}, found.handler)


def handler_code(what: str, function: Callable[..., Any]) -> Code:
    """The code of the user's `function(event, context)` as the handler.

    Raises DeclarationError if it cannot be found again by name, or does not take these arguments.
    """
    valid = "a handler is a function defined with `def` at the top level of a module, taking (event, context)"
    if not inspect.isfunction(function) or "." in function.__qualname__ or function.__name__ == "<lambda>":
        raise DeclarationError(f"{what}: the function is {function!r}; {valid}.")
    try:
        inspect.signature(function).bind({}, object())
    except TypeError:
        raise DeclarationError(
            f"{what}: {function.__name__}{inspect.signature(function)} cannot be called with two arguments; {valid}."
        ) from None
    if problem := not_callable_by_name(function):
        raise DeclarationError(f"{what}: {function.__name__} {problem}; {valid}.")
    files = user_files(what, function)
    found = library("") if any(_imports_package(text) for text in files.values()) else Code({}, "")
    return Code({**found.files, **files}, entry(function).replace(":", "."))


def entry(function: Callable[..., Any]) -> str:
    """The place of a function on Lambda, as module:function."""
    return f"{function.__module__}:{function.__name__}"


def user_files(what: str, function: Callable[..., Any]) -> dict[str, str]:
    """The module of a function and the modules beside it that it imports, directly or through others, by path.

    Raises DeclarationError, naming file and line, if something is imported that Lambda does not have.
    """
    source = file_of(function)
    if function.__module__ == "__main__" or not source:
        raise DeclarationError(
            f"{what}: the function {function.__name__!r} is defined in {function.__module__!r}, which Lambda cannot "
            "import: it is the program that deploys. Define it in a module of its own, e.g. warehouse.py, and import "
            "it from there."
        )
    path = source.resolve()
    levels = function.__module__.count(".") + (path.name == "__init__.py")
    root = path.parents[levels]
    files: dict[str, str] = {}
    waiting = [path]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name in files:
            continue
        files[name] = path.read_text(encoding="utf-8")
        for line, imported in _imports(files[name], name):
            waiting += _resolved(what, root, name, line, imported)
    return files


@dataclass(frozen=True, slots=True)
class _Import:
    """An imported module, and the names taken from it."""

    module: str
    names: tuple[str, ...]


def _resolved(what: str, root: Path, name: str, line: int, imported: _Import) -> list[Path]:
    """The user's own files that an import needs; none if Lambda has the module."""
    top = imported.module.split(".")[0]
    if top == "datawarehouse":
        _check_own(what, name, line, imported)
        return []
    found = [] if _is_installed(root, top, name) else list(_files(root, imported))
    if not found:
        if top in STANDARD_LIBRARY or top in LAMBDA_HAS:
            return []
        raise DeclarationError(
            f"{what}: {name}:{line} imports {imported.module!r}, which Lambda does not have. Lambda has the "
            "standard library of Python 3.13, boto3, and the modules beside the job's own. Move the job to a module "
            'that does not need it, or import it below `if __name__ == "__main__":` if the job does not need it.'
        )
    return found


def _files(root: Path, imported: _Import) -> Iterator[Path]:
    parts = imported.module.split(".")
    for dotted in [parts[: count + 1] for count in range(len(parts))] + [[*parts, each] for each in imported.names]:
        path = root.joinpath(*dotted)
        yield from (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file())


def _is_installed(root: Path, top: str, name: str) -> bool:
    """Whether a module is beside another one only because both are installed, as separate packages."""
    installed = {Path(each).resolve() for each in (*site.getsitepackages(), site.getusersitepackages())}
    return root in installed and top != name.split("/")[0].removesuffix(".py")


def _check_own(what: str, name: str, line: int, imported: _Import) -> None:
    """Check imports of this package: Lambda has its declaration, but no engine."""
    parts = imported.module.split(".")
    wanted = list(imported.names) if len(parts) == 1 else [parts[1]]
    lacking = [each for each in wanted if each not in (*_PUBLIC, "definition", "errors", "__version__")]
    if lacking:
        raise DeclarationError(
            f"{what}: {name}:{line} imports {lacking[0]!r} from datawarehouse, which Lambda does not have: of this "
            "package there are only Warehouse, definition and errors. Move the job to a module that does without."
        )


def _imports_package(text: str) -> bool:
    return any(each.module.split(".")[0] == "datawarehouse" for _, each in _imports(text, ""))


def _imports(text: str, name: str) -> Iterator[tuple[int, _Import]]:
    """(line, what) of each import that can run on Lambda."""
    package = name.split("/")[:-1]
    for node in _running(ast.parse(text, name).body):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, _Import(alias.name, ())) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names = tuple(alias.name for alias in node.names)
            if module:
                yield node.lineno, _Import(module, names)
            else:
                yield from ((node.lineno, _Import(each, ())) for each in names)


def _running(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes below these, except those that never run on Lambda."""
    for node in nodes:
        if isinstance(node, ast.If) and _is_skipped(node.test):
            yield from _running(node.orelse)
        elif isinstance(node, ast.Try) and any(_catches_import_error(handler) for handler in node.handlers):
            yield from _running([*node.handlers, *node.orelse, *node.finalbody])
        else:
            yield node
            yield from _running(ast.iter_child_nodes(node))


def _is_skipped(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING" or ast.unparse(test) == "__name__ == '__main__'"


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    caught = ast.unparse(handler.type) if handler.type else ""
    return "ImportError" in caught or "ModuleNotFoundError" in caught
