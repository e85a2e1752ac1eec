from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.settings import Settings, read_yaml


class Optimiser(Settings):
    name: str = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)


class Trial(Settings):
    width: int = 64


class Params(Settings):
    optimiser: Optimiser = Optimiser()
    fallback: Optimiser | None = None
    trials: list[Trial] = Field(default=[])
    fixed: tuple[Trial, ...] = ()
    models: dict[str, Optimiser] = Field(default={})
    extra: dict[str, Trial] | None = None
    free: dict[str, float] = Field(default={})


@pytest.mark.parametrize(
    ("values", "wrong", "meant"),
    [
        ({"optimizer": {}}, "optimizer", "optimiser"),
        ({"optimiser": {"learning_rat": 1}}, "learning_rat", "learning_rate"),
        ({"fallback": {"learningrate": 1}}, "learningrate", "learning_rate"),
        ({"trials": [{"width": 1}, {"widht": 1}]}, "widht", "width"),
        ({"fixed": [{"widht": 1}]}, "widht", "width"),
        ({"models": {"schnet": {"nam": "x"}}}, "nam", "name"),
        ({"extra": {"schnet": {"witdh": 1}}}, "witdh", "width"),
    ],
)
def test_a_wrong_key_is_named_with_the_nearest_right_one(
    values: dict[str, object], wrong: str, meant: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Params.parse(values, "params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert f"'{wrong}'" in message
    assert f"did you mean '{meant}'?" in message


def test_a_wrong_key_says_in_which_section_it_stands() -> None:
    values = {"trials": [{"width": 1}, {"widht": 1}], "models": {"a": {"nam": "b"}}}
    with pytest.raises(SettingsError) as caught:
        Params.parse(values, "params.yaml")
    first, second = str(caught.value).splitlines()
    assert "in 'trials.1'" in first
    assert "in 'models.a'" in second


def test_a_key_like_no_other_is_answered_with_all_that_are_known() -> None:
    with pytest.raises(SettingsError, match="known: learning_rate, name"):
        Params.parse({"optimiser": {"qqq": 1}}, "params.yaml")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"optimiser": {"learning_rate": "fast"}}, "optimiser.learning_rate"),
        ({"optimiser": {"learning_rate": -1}}, "optimiser.learning_rate"),
        ({"trials": [{"width": 1.5}]}, "trials.0.width"),
        ({"free": {"a": "b"}}, "free.a"),
        ({"optimiser": None}, "optimiser"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(values: dict[str, object], place: str) -> None:
    with pytest.raises(SettingsError, match=f"'{place}' is "):
        Params.parse(values, "params.yaml")


def test_a_missing_key_is_named() -> None:
    class Card(Settings):
        name: str
        size: int

    with pytest.raises(SettingsError, match=r"card\.yaml: the key 'size' is missing"):
        Card.parse({"name": "qm9"}, "card.yaml")


def test_settings_cannot_change_after_the_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Params().optimiser.learning_rate = 5.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "content",
    [b"a: [1, 2", b"a: \xff\xfe", b"a: !!python/object/apply:os.system ['touch executed']"],
)
def test_a_file_that_is_not_plain_yaml_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"params\.yaml"):
        read_yaml(path)
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml does not exist"):
        Params.load(tmp_path / "nothing.yaml")


def test_unknown_names_are_answered_with_the_nearest_one() -> None:
    assert "did you mean 'schnet'?" in unknown_name("model", "shnet", ["cgcnn", "schnet"])
    assert "known: cgcnn, schnet" in unknown_name("model", "xyz", ["schnet", "cgcnn"])
