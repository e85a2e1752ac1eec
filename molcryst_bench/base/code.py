"""The digest of the code that made a result, blind to comments, docstrings and layout."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

from molcryst_bench.base.files import digest_of

_PACKAGE = "molcryst_bench"


def code_digest(*modules: str) -> str:
    """Return a digest of these modules and of all modules of this package that they import.

    Args:
        modules: full names; a module outside this package counts with its own file alone.
    """
    return _digest_of_all(modules)


def code_parts(*modules: str) -> dict[str, str]:
    """Return a digest of each module that ``code_digest`` counts, by its name."""
    return {name: digest_of(source) for name, source in sorted(_sources(modules).items())}


@cache
def _digest_of_all(modules: tuple[str, ...]) -> str:
    return digest_of(_sources(modules))


def _sources(modules: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name], imported = _inspect(name)
            waiting += imported
    return found


@cache
def _inspect(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the normalised source of a module and the modules of this package it imports."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imported = {found for node in ast.walk(tree) for found in _imports(node)}
    for node in ast.walk(tree):
        _drop_docstring(node)
    return ast.unparse(tree), tuple(sorted(imported))


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return []
    return [name for name in names if name.split(".")[0] == _PACKAGE and _is_module(name)]


@cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _drop_docstring(node: ast.AST) -> None:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
