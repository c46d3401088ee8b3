import csv
import datetime
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.errors import InputDataError
from components.example_gen.guess import guess_features

ROWS = 400


@pytest.fixture(scope="module")
def guesses(tmp_path_factory):
    """Guesses for a table with a column of every kind."""
    rng = random.Random(0)
    words = ["dress", "fits", "runs", "small", "love", "return", "soft", "colour", "too", "very", "not", "good", "bad"]
    liked = [rng.random() < 0.7 for _ in range(ROWS)]
    columns = {
        "": range(ROWS),
        "Order ID": [f"{rng.getrandbits(64):016x}" for _ in range(ROWS)],
        "Clothing ID": [rng.randrange(30) for _ in range(ROWS)],
        "Bought on": [datetime.date(2024, 1, 1) + datetime.timedelta(row % 50) for row in range(ROWS)],
        "Country": ["FR"] * ROWS,
        "Empty": [""] * ROWS,
        "Review Text": [" ".join(rng.choices(words, k=12)) for _ in range(ROWS)],
        "评论": ["".join(rng.choices("很好不太喜欢这件衣服", k=12)) for _ in range(ROWS)],
        "Title": [" ".join(rng.choices(words, k=3)) + str(row) for row in range(ROWS)],
        "Age (years)": ["" if row % 9 == 0 else rng.randrange(18, 90) for row in range(ROWS)],
        "Price": [f"{rng.uniform(5, 100):.2f}" for _ in range(ROWS)],
        "Department": [rng.choice(["Tops", "Dresses", "Bottoms"]) for _ in range(ROWS)],
        "Member": [rng.choice([0, 1]) for _ in range(ROWS)],
        "Stars": [rng.choice([4, 5]) if yes else rng.choice([1, 2, 3, 4]) for yes in liked],
        "label": [rng.choice("ab") for _ in range(ROWS)],
        "Label!": [rng.choice("ab") for _ in range(ROWS)],
        "Liked": ["yes" if yes else "no" for yes in liked],
    }
    path = tmp_path_factory.mktemp("table") / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    return {guess.column: guess for guess in guess_features(str(path), "Liked")}


@pytest.mark.parametrize(
    ("column", "type", "reason"),
    [
        ("", "skip", "no name"),
        ("Order ID", "skip", "of its own"),
        ("Clothing ID", "category", "numbers that name 30 things"),
        ("Bought on", "skip", "dates"),
        ("Country", "skip", "one value"),
        ("Empty", "skip", "no values"),
        ("Review Text", "text", "12 words"),
        ("评论", "text", "12 words"),
        ("Title", "text", "words on average"),
        ("Age (years)", "number", "from 18 to 89"),
        ("Price", "number", "from 5"),
        ("Department", "category", "3 different values"),
        ("Member", "category", "2 different values"),
        ("Stars", "skip", "gives the label away"),
    ],
)
def test_each_kind_of_column_is_told(guesses, column, type, reason):
    assert guesses[column].type == type
    assert reason in guesses[column].reason


def test_only_the_stars_are_suspicious(guesses):
    assert [column for column, guess in guesses.items() if guess.suspicious] == ["Stars"]


def test_names_are_unique_identifiers_and_the_label_is_left_out(guesses):
    assert "Liked" not in guesses
    names = [guess.name for guess in guesses.values()]
    assert len(set(names)) == len(names)
    assert guesses["Age (years)"].name == "age_years"
    assert guesses["评论"].name == "column_8"
    assert (guesses["label"].name, guesses["Label!"].name) == ("label_2", "label_3")


def test_examples_are_different_values(guesses):
    assert set(guesses["Department"].examples) == {"Tops", "Dresses", "Bottoms"}
    assert len(guesses["Review Text"].examples) == 3


def test_parquet_with_lists_and_row_numbers(tmp_path):
    rows = range(100)
    table = {"n": [row * 3 for row in rows], "tags": [[row] for row in rows], "when": pa.array(rows, pa.timestamp("s"))}
    table |= {"__index_level_0__": rows, "y": [row % 7 < 3 for row in rows]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    found = {guess.column: (guess.type, guess.reason) for guess in guess_features(str(tmp_path / "a.parquet"), "y")}
    assert found == {
        "n": ("skip", "row numbers"),
        "tags": ("skip", "holds lists or structures"),
        "when": ("skip", "dates or times"),
        "__index_level_0__": ("skip", "row numbers"),
    }


def test_a_table_sorted_by_its_label_makes_its_counter_suspicious(tmp_path):
    rows = "".join(f"{row + row % 3},{row // 100}\n" for row in range(200))
    (tmp_path / "a.csv").write_text(f"counter,y\n{rows}")
    (guess,) = guess_features(str(tmp_path / "a.csv"), "y")
    assert guess.suspicious


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,y\n", "has columns but no rows"),
        ("a,y\n1,\n2,\n", "The label column `y` holds no values"),
        ("a,b\n1,2\n", "has no column `y`. Its columns are: `a`, `b`"),
    ],
)
def test_a_table_without_use_is_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputDataError, match=message):
        guess_features(str(tmp_path / "a.csv"), "y")


@pytest.mark.parametrize(("count", "expected"), [(25, ["chinese"]), (24, [])])
def test_the_column_with_most_long_texts_is_read_further(tmp_path, count, expected):
    """A quarter of its texts have more than 128 words; in Chinese each character is one."""
    texts = [("很好不太喜" * 26 if row < count else "好") + f" {row}" for row in range(100)]
    english = [("very good " * 65 if row < count - 1 else "fine") + f" {row}" for row in range(100)]
    pq.write_table(
        pa.table({"english": english, "chinese": texts, "label": ["a", "b"] * 50}), tmp_path / "table.parquet"
    )
    guesses = guess_features(str(tmp_path / "table.parquet"), "label")
    assert [guess.name for guess in guesses if guess.long] == expected


def test_guessing_does_not_wait_for_tensorflow(tmp_path):
    import subprocess

    (tmp_path / "a.csv").write_text("a,y\n" + "1,x\n2,z\n" * 50)
    program = (
        "import sys; from components.example_gen.guess import guess_features; "
        f"guess_features({str(tmp_path / 'a.csv')!r}, 'y'); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
