import os

import pytest

from components.example_gen.errors import InputDataError
from components.example_gen.files import matching_files
from components.example_gen.inputs import resolve_inputs, shared_folder


def test_a_file_becomes_its_folder_and_name(tmp_path):
    (tmp_path / "a.csv").touch()
    assert resolve_inputs(str(tmp_path / "a.csv")) == (str(tmp_path), [("all", "a.csv")])


def test_a_folder_and_a_glob_become_patterns(tmp_path):
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "a.csv").touch()
    assert resolve_inputs(str(tmp_path / "day")) == (str(tmp_path / "day"), [("all", "*")])
    assert resolve_inputs(f"{tmp_path}/d*/*.csv") == (str(tmp_path), [("all", "d*/*.csv")])


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert resolve_inputs("a.csv")[0] == str(tmp_path)


def test_splits_share_a_base(tmp_path):
    for name in ("one/a.csv", "two/b.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    data = {"test": f"{tmp_path}/two/b.csv", "train": f"{tmp_path}/one/a.csv"}
    assert resolve_inputs(data) == (str(tmp_path), [("train", "one/a.csv"), ("test", "two/b.csv")])


def test_a_split_may_have_several_paths(tmp_path):
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).touch()
    several = [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"]
    assert resolve_inputs(several) == (str(tmp_path), [("all", "a.csv"), ("all", "b.csv")])
    base, patterns = resolve_inputs({"test": f"{tmp_path}/c.csv", "train": several})
    assert (base, patterns) == (str(tmp_path), [("train", "a.csv"), ("train", "b.csv"), ("test", "c.csv")])


@pytest.mark.parametrize("name", ["a[1].csv", "wh*t?.csv", "folder [2]/a.csv"])
def test_the_pattern_of_a_name_with_glob_characters_matches_that_file_only(tmp_path, name):
    for each in (name, "a1.csv", "what1.csv", "folder 2/a.csv"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).touch()
    base, [(_, pattern)] = resolve_inputs(str(tmp_path / name))
    assert matching_files(f"{base}/{pattern}") == [str(tmp_path / name)]


def test_a_span_stays_a_pattern(tmp_path):
    assert resolve_inputs(f"{tmp_path}/day-{{SPAN}}/*.csv") == (str(tmp_path), [("all", "day-{SPAN}/*.csv")])


@pytest.mark.parametrize("path", ["/elsewhere/reviews.csv", "/elsewhere/part-*.csv"])
def test_what_lies_on_another_machine_is_taken_as_it_is(path):
    assert resolve_inputs(path, must_exist=False) == ("/elsewhere", [("all", os.path.basename(path))])


def test_an_address_keeps_its_scheme():
    assert resolve_inputs("gs://bucket/day/*.csv") == ("gs://bucket/day", [("all", "*.csv")])
    assert shared_folder(["gs://bucket/a", "gs://bucket/b"]) == "gs://bucket"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{tmp}/absent.csv", r"There is no file `.*absent.csv`. `.*` holds: empty, there.csv"),
        ("{tmp}/no/absent.csv", r"There is no file .* The folder does not exist: `.*/no`"),
        ("{tmp}/*.parquet", r"No file matches `.*\*.parquet`. Quote the pattern"),
        ("{tmp}/empty", r"The folder `.*empty` holds no files"),
        ("", "the path is empty"),
        ({"train": "{tmp}/there.csv", "dev": "{tmp}/there.csv"}, "named train, eval, test. Received: 'dev'"),
        ({"test": "{tmp}/there.csv"}, "A `train` split is needed. Received only: test"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, data, message):
    (tmp_path / "there.csv").touch()
    (tmp_path / "empty").mkdir()
    fill = {key: path.format(tmp=tmp_path) for key, path in data.items()} if isinstance(data, dict) else None
    with pytest.raises(InputDataError, match=message):
        resolve_inputs(fill or data.format(tmp=tmp_path))


@pytest.mark.parametrize("address", ["s3://bucket/day/*.csv", "s3a://bucket/a.csv"])
def test_s3_is_refused_in_one_sentence(address):
    with pytest.raises(InputDataError, match=r"^`s3.*` cannot be read: TensorFlow's files have no S3 here.*gs://"):
        resolve_inputs(address)
