"""Search spaces: those of this project, and what is wrong in others, with its line."""

from __future__ import annotations

from math import log10
from pathlib import Path

import pytest
import yaml
from handmade import REPOSITORY
from scipy import stats

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.models.interface import ClosedFormModel
from molcryst_bench.models.registry import get_model_class, list_models
from molcryst_bench.tuning.distributions import Choice, Range
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.space_file import load_space

SPACES = REPOSITORY / "conf" / "spaces"
TRAINED = [m for m in list_models() if not issubclass(get_model_class(m), ClosedFormModel)]
GOOD = """
training:
  learning_rate: {distribution: log-uniform, low: 1e-5, high: 1}
  optimizer:
    distribution: categorical
    values: [sgd, lamb]
  gradient_clip: {distribution: log-normal, low: 0.01, high: 10, mean: 0.1, deviation: 1,
    when: {optimizer: [sgd]}}
models:
  schnet:
    width: {distribution: integer, low: 8, high: 16}
"""


def space_of(text: str, folder: Path, model: str = "schnet") -> Space:
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path, model)


def test_the_paper_space_is_table_1_of_the_paper() -> None:
    space = load_space(SPACES / "paper.yaml", "schnet")
    assert {p.name: p.distribution for p in space.parameters} == {
        "accumulate": Range(1, 20, log=True, whole=True),
        "precision": Choice(("32-true", "bf16-mixed")),
        "batch_size": Range(128, 512, whole=True),
        "epochs": Range(10, 100, log=True, whole=True),
        "gradient_clip": Range(1e-5, 2, log=True),
        "learning_rate": Range(1e-3, 1, log=True),
        "optimizer": Choice(("sgd", "torch_adam", "torch_adamw", "lamb")),
        "weight_decay": Range(2e-6, 0.02, log=True),
    }


@pytest.mark.parametrize("model", TRAINED)
def test_the_wide_space_holds_more_of_every_model(model: str) -> None:
    space = load_space(SPACES / "wide.yaml", model)
    rate = next(p.distribution for p in space.of_training if p.name == "learning_rate")
    assert rate == Range(1e-5, 1, log=True)
    fields = get_model_class(model).Hyperparameters.model_fields
    assert space.of_model
    assert {p.name for p in space.of_model} <= set(fields)


@pytest.mark.parametrize("model", TRAINED)
def test_every_corner_of_the_wide_space_is_a_model(model: str) -> None:
    space, hyperparameters = load_space(SPACES / "wide.yaml", model), get_model_class(model)
    for end in (0, -1):
        values = {p.name: p.distribution.examples()[:2][end] for p in space.of_model}
        hyperparameters.Hyperparameters.parse(values, "corner")


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("learning_rate:", "lerning_rate:", 3, "unknown setting 'lerning_rate'; did you mean"),
        ("width:", "widht:", 11, "did you mean 'width'?"),
        ("  schnet:", "  shnet:", 10, "did you mean 'schnet'?"),
        ("models:", "modles:", 9, "did you mean 'models'?"),
        ("log-uniform", "loguniform", 3, "unknown distribution 'loguniform'; did you mean 'log-un"),
        ("low: 8,", "low: 16,", 11, "'low' of 'width' is 16, which is not below its 'high', 16"),
        ("low: 1e-5", "low: 0", 3, "a logarithm needs more than 0"),
        ("low: 1e-5", "low: some", 3, "'low' of 'learning_rate' is 'some', which is no number"),
        ("low: 1e-5,", "", 3, "'learning_rate' has no 'low'"),
        ("low: 8", "lwo: 8", 11, "unknown key 'lwo'; did you mean 'low'?"),
        ("integer", "uniform", 11, "'width' cannot be"),
        ("low: 8", "low: 0", 11, "'width' cannot be 0: Input should be greater than 0"),
        ("low: 8", "low: 8.5", 11, "they must be integers"),
        ("[sgd, lamb]", "[sgd, lamp]", 4, "'optimizer' cannot be 'lamp'"),
        ("[sgd, lamb]", "[sgd]", 6, "give two or more"),
        ("[sgd, lamb]", "sgd", 6, "'sgd', which is no list"),
        ("mean: 0.1", "mean: 100", 7, "'mean' of 'gradient_clip' is 100, which is not in its"),
        ("deviation: 1", "deviation: 0", 7, "is not above 0"),
        ("when: {optimizer: [sgd]}", "when: {optimiser: [sgd]}", 7, "did you mean 'optimizer'?"),
        ("when: {optimizer: [sgd]}", "when: {optimizer: [adam]}", 7, "is never 'adam'"),
        ("when: {optimizer: [sgd]}", "when: {learning_rate: [1]}", 7, "is not categorical"),
        ("[sgd, lamb]", "[sgd, lamb]\n    when: {optimizer: [sgd]}", 4, "depends on itself"),
        ("    values:", "    distribution: categorical\n    values:", 6, "twice, first in line 5"),
        ("  optimizer:", "  learning_rate:", 4, "'learning_rate' is there twice, first in line 3"),
    ],
)
def test_a_bad_space_is_refused_with_its_line(
    old: str, new: str, line: int, reason: str, tmp_path: Path
) -> None:
    assert len(space_of(GOOD, tmp_path).parameters) == 4
    assert old in GOOD
    with pytest.raises(SettingsError) as refused:
        space_of(GOOD.replace(old, new, 1), tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'space.yaml'}, line {line}: ")
    assert reason in str(refused.value)


def test_what_is_no_yaml_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is not valid YAML: (.|\n)*line 1"):
        space_of("training: {", tmp_path)
    with pytest.raises(SettingsError, match="the space is empty"):
        space_of("", tmp_path)
    with pytest.raises(SettingsError, match="does not exist"):
        load_space(tmp_path / "none.yaml", "schnet")


def test_a_model_of_which_nothing_is_searched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing to search for 'ridge'"):
        space_of(GOOD, tmp_path, model="ridge")


def test_a_parameter_counts_only_with_the_values_that_it_waits_for(tmp_path: Path) -> None:
    space = space_of(GOOD, tmp_path)
    start = {"learning_rate": 0.1, "gradient_clip": 1.0, "width": 9}
    names = {}
    for optimizer in ("sgd", "lamb"):
        codes = space.proposal({**start, "optimizer": optimizer})
        assert codes is not None
        names[optimizer] = set(space.settings(codes))
    assert names["sgd"] - names["lamb"] == {"gradient_clip"}
    assert names["lamb"] == {"learning_rate", "optimizer", "width"}


def test_codes_lead_back_to_settings_and_settings_outside_have_none(tmp_path: Path) -> None:
    space = space_of(GOOD, tmp_path)
    inside = {"learning_rate": 3e-4, "optimizer": "sgd", "gradient_clip": 0.7, "width": 13}
    codes = space.proposal(inside)
    assert codes is not None
    assert space.settings(codes) == pytest.approx(inside)
    for wrong in ({"width": 17}, {"gradient_clip": None}, {"optimizer": "torch_adam"}):
        assert space.proposal({**inside, **wrong}) is None
    assert space.proposal({**inside, "optimizer": "lamb", "gradient_clip": None}) is not None


def test_true_is_not_one() -> None:
    assert not Choice((0, 1)).contains(True)
    assert Choice((1, True, "1")).coded(True) == 1


@pytest.mark.parametrize("log", [False, True])
def test_uniform_codes_of_a_normal_distribution_are_normal(log: bool) -> None:
    found = Range(0.2, 30.0, log=log, mean=2.0, deviation=0.5 if log else 4.0)
    codes = [0.0, 1e-3, 0.1, 0.3, 0.5, 0.77, 0.999, 1.0]
    low, high, mean, deviation = (0.2, 30.0, 2.0, 4.0)
    if log:
        low, high, mean, deviation = log10(0.2), log10(30.0), log10(2.0), 0.5
    ends = (low - mean) / deviation, (high - mean) / deviation
    expected = stats.truncnorm.ppf(codes, *ends, loc=mean, scale=deviation)
    values = [found.decoded(code) for code in codes]
    assert values == pytest.approx(10**expected if log else expected)
    assert [found.coded(value) for value in values] == pytest.approx(codes, abs=1e-9)


def test_a_limit_on_epochs_narrows_the_space() -> None:
    space = load_space(SPACES / "paper.yaml", "schnet")
    found = {p.name: p.distribution for p in space.within(20).parameters}
    assert found["epochs"] == Range(10, 20, log=True, whole=True)
    assert "epochs" not in {p.name for p in space.within(10).parameters}


def test_the_files_are_yaml_that_others_can_read() -> None:
    for path in SPACES.glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) <= {"training", "models"}
