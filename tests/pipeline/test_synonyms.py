"""A file of synonyms is read whole, or refused in one sentence."""

import pytest

from pipeline.config import ConfigError
from pipeline.synonyms import read_synonyms


def test_groups_are_read(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("# of clothes\nGreat, wonderful\n\ndress,gown , robe  # long ones\n", encoding="utf-8")
    assert read_synonyms(str(path)) == (("great", "wonderful"), ("dress", "gown", "robe"))
    assert read_synonyms(None) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "great wonderful",
            "line 1: must hold two words or more .* Received: 'great wonderful'",
        ),
        ("great, very good", "line 1: must hold two words"),
        ("great,", "line 1: must hold two words"),
        ("great, fine\nfine, good", "line 2: 'fine' stands in line 1 already"),
        ("# nothing", "holds no group of words"),
        ("a,b\n" * 20_000, "may have 50,000 characters. Received: 80,000"),
    ],
)
def test_what_is_no_group_is_told(tmp_path, text, message):
    (tmp_path / "synonyms.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_synonyms(str(tmp_path / "synonyms.txt"))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="`evaluation.robustness.synonyms` .* cannot be read: .*No such file"):
        read_synonyms(str(tmp_path / "none.txt"))
