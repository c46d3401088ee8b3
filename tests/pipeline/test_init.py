"""A table becomes a commented config that is valid as it is."""

import numpy as np
import pytest
import yaml

from pipeline.config import ConfigError, parse
from pipeline.init import config_text, guess_config, parse_data, write_config

SHOPS = ("north", "south", "west")


@pytest.fixture
def table(tmp_path):
    lines = ["Customer ID,What they said,Age,Shop,Liked it"]
    for row in range(120):
        text, liked = f"this is thing number {row} of very many", "yes" if row % 4 else "no"
        lines.append(f"{1000 + row},{text},{20 + row % 50},{SHOPS[row % 3]},{liked}")
    path = tmp_path / "My Table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_config_names_types_and_runs_as_it_is(table):
    config = parse(guess_config(str(table), "Liked it"))
    assert config.name == "my_table"
    assert config.data.input == str(table)
    types = {name: feature.type for name, feature in config.features.items()}
    assert types == {"what_they_said": "text", "age": "number", "shop": "category"}
    assert config.features["what_they_said"].column == "What they said"
    assert config.evaluation.gates["accuracy"].min == pytest.approx(0.75, abs=0.01)


def test_comments_say_what_was_seen_and_what_was_left_out(table):
    text = config_text(str(table), "Liked it")
    assert text.startswith("# What is learnt: Liked it (yes 75.0%, no 25.0%).")
    assert "# customer_id: left out" in text
    assert "always saying 'yes' is right in 75.0%" in text


def test_a_file_is_never_written_over_unasked(table, tmp_path):
    out = tmp_path / "config.yaml"
    assert write_config(str(table), "Liked it", out, "mood", force=False) == out
    assert yaml.safe_load(out.read_text())["name"] == "mood"
    with pytest.raises(ConfigError, match="stands already"):
        write_config(str(table), "Liked it", out, "mood", force=False)
    write_config(str(table), "Liked it", out, "other", force=True)
    assert yaml.safe_load(out.read_text())["name"] == "other"


def test_a_wrong_label_is_told(table):
    with pytest.raises(ConfigError, match="no column `Liked`"):
        config_text(str(table), "Liked")


def test_a_table_with_nothing_to_learn_from_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,mood\n" + "".join(f"{row},{row % 2}\n" for row in range(60)), encoding="utf-8")
    with pytest.raises(ConfigError, match="no column is one to learn from .id: "):
        config_text(str(path), "mood")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["/t/a.csv"], "/t/a.csv"),
        (["asset:reviews"], "asset:reviews"),
        (["train=/t/a.csv", "test=/t/b.csv"], {"train": "/t/a.csv", "test": "/t/b.csv"}),
        (["/t/odd=name.csv"], "/t/odd=name.csv"),
    ],
)
def test_data_is_one_source_or_one_for_each_split(data, expected):
    assert parse_data(data) == expected


@pytest.mark.parametrize("data", [["a.csv", "b.csv"], ["test=a.csv"], ["train=a.csv", "b.csv"], ["train=a", "train=b"]])
def test_data_that_is_neither_is_refused(data):
    with pytest.raises(ConfigError, match="--data"):
        parse_data(data)


def test_a_label_of_many_numbers_is_a_number(table):
    text = config_text(str(table), "Age")
    assert text.startswith("# What is learnt: Age, a number from 20 to 69, ")
    config = parse(yaml.safe_load(text))
    assert config.heads["label"].model_dump(exclude={"weight"}) == {"column": "Age", "type": "regression"}
    ages = [20 + row % 50 for row in range(120)]
    assert config.evaluation.gates["root_mean_squared_error"].max == pytest.approx(np.std(ages), rel=1e-3)
