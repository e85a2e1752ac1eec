"""Models by name, also from other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.registry import get_model_class

PLUGIN = '''
"""A package that adds a model."""
from molcryst_bench.models.baselines import Mean

class Nothing(Mean):
    """Nothing: like the mean, under another name."""
'''


@pytest.mark.parametrize("name", mb.list_models())
def test_every_model_documents_itself(name: str) -> None:
    model = get_model_class(name)
    assert model.__doc__
    assert ":" in model.__doc__.splitlines()[0]
    for field, info in model.Hyperparameters.model_fields.items():
        assert info.description, f"{name}.{field} has no description"
        assert not info.is_required(), f"{name}.{field} has no default"


@pytest.mark.parametrize(
    ("name", "hyperparameters", "word"),
    [
        ("shnet", {}, "did you mean 'schnet'"),
        ("schnet", {"widht": 3}, "did you mean 'width'"),
        ("schnet", {"width": 0}, "greater than 0"),
        ("schnet", {"readout": "max"}, "'sum' or 'mean'"),
    ],
)
def test_mistakes_are_named(name: str, hyperparameters: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        mb.create_model(name, **hyperparameters)


def test_an_installed_package_adds_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mcb_plugin.py").write_text(PLUGIN)
    metadata = tmp_path / "mcb_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mcb-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[molcryst_bench.models]\nnothing = mcb_plugin:Nothing\nmean = mcb_plugin:Nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert "nothing" in mb.list_models()
        assert type(mb.create_model("nothing")).__name__ == "Nothing"
        assert type(mb.create_model("mean")).__name__ == "Mean", "built-in names are not replaced"
    finally:
        sys.modules.pop("mcb_plugin", None)
