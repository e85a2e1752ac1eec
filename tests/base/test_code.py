from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from molcryst_bench.base import code
from molcryst_bench.base.code import code_digest

ORIGINAL = '''
"""A module."""

def area(radius):
    """Return the area of a circle."""
    return 3.14 * radius**2  # rough
'''

Digest = Callable[[str], str]


@pytest.fixture
def digest_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    monkeypatch.syspath_prepend(tmp_path)

    def digest(source: str) -> str:
        (tmp_path / "sketch.py").write_text(source)
        importlib.invalidate_caches()
        code._inspect.cache_clear()
        code._digest_of_all.cache_clear()
        return code_digest("sketch")

    return digest


@pytest.mark.parametrize(
    "edited",
    [
        ORIGINAL.replace("# rough", "# quite rough"),
        ORIGINAL.replace("A module", "The module"),
        ORIGINAL.replace("Return the area", "Compute the area"),
        ORIGINAL.replace('"""Return the area of a circle."""\n    ', ""),
        ORIGINAL.replace("3.14 * radius**2", "(3.14  *  (radius ** 2))"),
        ORIGINAL + "\n\n# The end.\n",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(digest_of: Digest, edited: str) -> None:
    assert edited != ORIGINAL
    assert digest_of(edited) == digest_of(ORIGINAL)


@pytest.mark.parametrize(
    "edited",
    [
        ORIGINAL.replace("3.14", "3.1416"),
        ORIGINAL.replace("radius**2", "radius**3"),
        ORIGINAL.replace("area(radius)", "area(radius=1)"),
        ORIGINAL.replace("return", "return -"),
        ORIGINAL + "\nLIMIT = 'text that is no docstring'\n",
    ],
)
def test_code_counts(digest_of: Digest, edited: str) -> None:
    assert digest_of(edited) != digest_of(ORIGINAL)


def test_text_that_is_no_docstring_counts(digest_of: Digest) -> None:
    assert digest_of("def unit():\n    return 'eV'\n") != digest_of(
        "def unit():\n    return 'meV'\n"
    )


def test_what_a_module_imports_from_the_package_counts(
    digest_of: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing = "from molcryst_bench.graphs.neighbors import find_edges\n"
    before = digest_of(importing)
    inspect = code._inspect

    def changed(name: str) -> tuple[str, tuple[str, ...]]:
        source, imported = inspect(name)
        return source + "changed" * name.endswith("base.settings"), imported

    monkeypatch.setattr(code, "_inspect", changed)
    code._digest_of_all.cache_clear()
    assert code_digest("sketch") != before


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        code_digest("molcryst_bench.no_such_module")
