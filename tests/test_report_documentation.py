from __future__ import annotations

from pathlib import Path

import pytest

from molcryst_bench.models.registry import get_model_class, list_models
from molcryst_bench.report.documentation import (
    describe_model,
    flatten,
    parse_blocks,
    used_settings,
)
from molcryst_bench.report.formulas import draw_formula


def test_a_docstring_becomes_blocks() -> None:
    text = """
A ``width`` of :math:`x_i`, doi 10.1000/182.

.. math:: y = W x

.. math::

    z = 1

    literal lines
      keep their shape
"""
    blocks = list(parse_blocks(text))
    assert [block.kind for block in blocks] == ["paragraph", "formula", "formula", "literal"]
    assert [(span.kind, span.text) for span in blocks[0].spans] == [
        ("text", "A "),
        ("code", "width"),
        ("text", " of "),
        ("math", "x_i"),
        ("text", ", "),
        ("doi", "10.1000/182"),
        ("text", "."),
    ]
    assert blocks[1].text == "y = W x"
    assert blocks[2].text == "z = 1"
    assert blocks[3].text == "literal lines\n  keep their shape"


def test_a_model_that_is_not_installed_is_shown_by_name() -> None:
    document = describe_model("from-elsewhere")
    assert not document.installed
    assert document.title == "from-elsewhere"


@pytest.mark.parametrize("name", list_models())
def test_every_model_documents_itself_for_the_site(name: str, tmp_path: Path) -> None:
    document = describe_model(name)
    assert document.blocks
    fields = get_model_class(name).Hyperparameters.model_fields
    assert [field.name for field in document.fields] == list(fields)
    assert all(field.description for field in document.fields)
    formulas = [s.text for b in document.blocks for s in b.spans if s.kind == "math"]
    for latex in formulas:
        assert draw_formula(latex, tmp_path), f"the site cannot draw {latex}"


def test_a_formula_that_cannot_be_drawn_is_left_to_its_source(tmp_path: Path) -> None:
    assert draw_formula(r"\begin{cases}a\end{cases}", tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_formula_stands_on_its_baseline(tmp_path: Path) -> None:
    flat, deep = draw_formula("x", tmp_path), draw_formula(r"\frac{x}{y_j}", tmp_path)
    assert flat is not None
    assert deep is not None
    assert deep.height > flat.height
    assert deep.depth > flat.depth
    assert 0 < flat.width < 2


def test_nested_settings_have_dotted_names() -> None:
    assert flatten({"optimizer": {"name": "lamb", "betas": [0.9, 0.99]}, "clip": None}) == {
        "optimizer.name": "lamb",
        "optimizer.betas": "[0.9, 0.99]",
        "clip": "none",
    }


def test_settings_that_differ_between_seeds_show_all_values() -> None:
    first = [{"width": 64}, {"width": 128}, {"width": 64}]
    assert used_settings([first, [{"depth": 3}]]) == {
        "depth": ("not set", "3"),
        "width": ("64, 128", "not set"),
    }
