"""A few hundred real rows, each time with one fault put in: the right gate finds it and shows the right rows."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from components.data_gate.row_gates import row_gates
from components.pusher.versions import TEXT_PROFILE_FILE
from components.schema_gen.options import ValidationOptions
from pipeline import assets

FEATURES = {"review": "text", "age": "number", "department": "category"}
LABELS = {"label": "category"}


@pytest.fixture(scope="module")
def rows():
    """900 rows of the demo table, each with a text of its own."""
    table = pa.parquet.read_table(assets.fetch("reviews"))
    columns = {
        "review": "Review Text",
        "age": "Age",
        "department": "Department Name",
        "label": "Recommended IND",
        "rating": "Rating",
    }
    listed = table.select(list(columns.values())).rename_columns(list(columns)).slice(0, 1100).to_pylist()
    unique = {row["review"]: row for row in listed if row["review"]}
    return [
        {**row, "label": str(row["label"]), "age": float(row["age"]), "rating": float(row["rating"])}
        for row in list(unique.values())[:900]
    ]


@pytest.fixture
def judge(rows, tables, tmp_path):
    """Function of a change of the splits, and features, that gives the gates by name."""

    def run(change=lambda splits: None, features=FEATURES, live=None, labels=LABELS, name="run", **options):
        names = [*features, *labels]
        splits = {"train": rows[:700], "eval": rows[700:800], "test": rows[800:]}
        splits = {split: [dict(row) for row in part] for split, part in splits.items()}
        change(splits)
        chosen = {split: [{key: row[key] for key in names} for row in part] for split, part in splits.items()}
        examples = tables.write_examples(tmp_path / name / "examples", chosen)
        files = {
            split: [f"{examples.uri}/Split-{split}/data_tfrecord-00000-of-00001.gz"]
            for split in ("train", "eval", "test")
        }
        gates = row_gates(files, features, labels, tmp_path / name, live, 7, ValidationOptions(**options))
        return {gate.name: gate for gate in gates}

    return run


def failed(gates):
    return {name for name, gate in gates.items() if not gate.passed}


def test_real_rows_pass(judge, tmp_path):
    gates = judge()
    assert not failed(gates), gates
    assert set(gates) == {
        *(f"{kind}/{split}" for kind in ("duplicates", "near_duplicates") for split in ("eval", "test")),
        *("label_conflicts", "leak/review", "leak/age", "leak/department"),
    }
    again = judge(live=tmp_path / "run" / TEXT_PROFILE_FILE, name="again")
    assert not failed(again), again
    parts = ("length", "unseen_words", "words", "language", "embedding")
    assert {f"drift/review/{part}" for part in parts} <= set(again)
    for part in ("words", "language", "embedding"):
        assert again[f"drift/review/{part}"].value == 0
    assert all(type(gate.passed) is bool for gate in again.values()), "as JSON takes it"


def copied(number):
    """Rows of train stand in test, too, in other case and with other white space."""

    def change(splits):
        for row in splits["train"][:number]:
            splits["test"].append({**row, "review": f"  {row['review'].upper()}  "})

    return change


def test_five_percent_of_copies_pass_and_one_more_does_not(judge):
    assert not failed(judge(copied(5)))
    gates = judge(copied(6), name="more")
    assert failed(gates) == {"duplicates/test"}
    gate = gates["duplicates/test"]
    assert gate.blocks
    assert gate.value == pytest.approx(6 / 106)
    assert "6 of 106 rows (5.66%) say in every feature what a row of train says; allowed is 5.00%" in gate.why
    assert "or raise `validation.max_duplicates`" in gate.why
    assert len(gate.rows) == 3
    assert all(row.startswith("review=") for row in gate.rows)


def test_short_texts_repeat_by_nature(judge):
    def change(splits):
        for split, number in (("train", 30), ("test", 30)):
            row = splits[split][0]
            splits[split] += [{**row, "review": "Love it, thanks!", "label": str(at % 2)} for at in range(number)]

    gates = judge(change)
    assert gates["duplicates/test"].value == gates["label_conflicts"].value == 0


def test_texts_with_a_word_changed_are_near_duplicates(judge, rows):
    def change(number):
        def add(splits):
            for row in long[:number]:
                words = row["review"].split()
                splits["eval"].append({**row, "review": " ".join(["Well,", *words[1:]]), "age": 99.0})

        return add

    long = [row for row in rows[:700] if len(row["review"].split()) >= 30]
    assert not failed(judge(change(5), name="fewer"))
    gates = judge(change(6))
    assert failed(gates) == {"near_duplicates/eval"}
    gate = gates["near_duplicates/eval"]
    assert not gate.blocks  # a warning
    assert gate.value == pytest.approx(6 / 106)
    assert len(gate.rows) == 3
    assert all(row.startswith("review='Well, ") and " ~ review=" in row for row in gate.rows)


def test_flipped_labels_of_equal_rows_are_named(judge):
    def change(splits, number=15):
        again = [{**row, "review": row["review"].lower()} for row in splits["train"][:number] for _ in range(2)]
        splits["train"] += again
        for row in splits["train"][:number]:
            row["label"] = "1" if row["label"] == "0" else "0"

    gates = judge(change)
    assert failed(gates) == {"label_conflicts"}
    gate = gates["label_conflicts"]
    assert gate.value == pytest.approx(15 / 730)
    assert gate.blocks
    assert len(gate.rows) == 3
    assert all(re.match(r"label='[01]', .*; elsewhere label='[01]'$", row) for row in gate.rows)
    assert not failed(judge(lambda splits: change(splits, 14), name="fewer"))


def test_the_rating_gives_the_recommendation_away(judge):
    gates = judge(features={**FEATURES, "rating": "number"})
    assert failed(gates) == {"leak/rating"}
    gate = gates["leak/rating"]
    assert gate.blocks
    assert gate.value > gate.limit > 0.5
    assert "where `rating` is 5, `label` is '1'" in gate.why
    assert "leave it out" in gate.why
    noise = gate.limit - 0.5
    for off, passed in ((1e-6, True), (-1e-6, False)):
        options = {"max_leak": gate.value - noise + off, "name": f"allowed {passed}"}
        assert judge(features={**FEATURES, "rating": "number"}, **options)["leak/rating"].passed == passed


def test_a_word_in_the_text_gives_the_label_away(judge):
    def change(splits):
        for row in (row for split in splits.values() for row in split if row["label"] == "0"):
            row["review"] += " zzreturn"

    gates = judge(change)
    assert failed(gates) == {"leak/review"}
    assert "has the word 'zzreturn'" in " ".join(gates["leak/review"].rows)


def test_a_number_that_is_another_in_disguise_gives_it_away(judge):
    noise = np.random.default_rng(0)

    def change(splits):
        for row in (row for split in splits.values() for row in split):
            row["stars"] = row["rating"] * 10 + float(noise.normal())

    features = {**FEATURES, "stars": "number"}
    gates = judge(change, features=features, labels={"rating": "number"})
    assert failed(gates) == {"leak/stars"}
    assert gates["leak/stars"].value > 0.95
    assert "on average" in gates["leak/stars"].why


def test_texts_of_another_kind_drift(judge, tmp_path):
    judge()
    live = tmp_path / "run" / TEXT_PROFILE_FILE

    def cut(splits):
        for row in splits["train"]:
            row["review"] = " ".join(row["review"].split()[:3])

    def scramble(splits):
        for row in splits["train"]:
            row["review"] = " ".join(
                word[::-1] if index % 4 == 0 else word for index, word in enumerate(row["review"].split())
            )

    assert "drift/review/length" in failed(judge(cut, live=live, name="cut"))
    gates = judge(scramble, live=live, name="scrambled")
    assert "drift/review/unseen_words" in failed(gates)
    assert gates["drift/review/unseen_words"].value == pytest.approx(0.2, abs=0.07)
    assert "Most frequent: " in gates["drift/review/unseen_words"].why
    names = {"length": "text_length"} | {each: each for each in ("unseen_words", "words", "language", "embedding")}
    found = {name: gates[f"drift/review/{part}"] for part, name in names.items()}
    room = {name: gate.limit - getattr(ValidationOptions().drift, name) for name, gate in found.items()}
    for off, passed in ((1e-6, True), (-1e-6, False)):
        drift = {name: max(gate.value - room[name] + off, 0) for name, gate in found.items()}
        again = judge(scramble, live=live, drift=drift, name=f"at the limit {passed}")
        told = {part: again[f"drift/review/{part}"].passed for part, name in names.items() if drift[name]}
        assert set(told.values()) == {passed}, told
        assert {"unseen_words", "words"} <= set(told)


FRENCH = (
    "J'adore cette robe, la coupe est parfaite et le tissu est très doux.",
    "La taille est trop petite, je vais la renvoyer dès demain.",
    "Le pull est joli mais il a rétréci au premier lavage.",
)


def test_texts_in_another_language_are_found(judge, tmp_path):
    judge()
    live = tmp_path / "run" / TEXT_PROFILE_FILE

    def translate(number):
        def change(splits):
            for index, row in enumerate(splits["train"][:number]):
                row["review"] = f"{FRENCH[index % 3]} {index}"

        return change

    # The limit is 5 % and 3.78 % for noise in 700 texts: 61 are 8.71 %, 63 are 9 %.
    gate = judge(translate(61), live=live, name="few")["drift/review/language"]
    assert gate.passed
    assert gate.value == pytest.approx(61 / 700)
    gate = judge(translate(63), live=live, name="many")["drift/review/language"]
    assert gate.blocks
    assert gate.limit == pytest.approx(0.05 + 700**-0.5)
    assert "9.00% of 700 texts are in the language `fr`, with version 7 it was 0.00%" in gate.why
    assert all(row.startswith("fr: ") for row in gate.rows)


GADGETS = (
    "The battery lasts about two days and the sound is clear, but the charger came loose",
    "I bought these headphones for my long way to work, noise is kept out well and the cable is long enough",
    "Great little speaker, easy to put together with my phone, though it could be higher in volume",
    "The screen has a scratch, I returned it to the store and got a new one the next week",
    "The keys feel cheap, some of them stick, I would not buy it again for that price",
)


def test_reviews_of_another_product_are_found_though_their_words_are_known(judge, rows, tmp_path):
    """Half a percent of each gadget's review is in the live version's texts, too, so that no word is unseen."""
    known = {"review": " . ".join(GADGETS)}

    def before(splits):
        splits["train"][0] |= known

    def mixed(share):
        def change(splits):
            before(splits)
            random = np.random.default_rng(0)
            for index, row in enumerate(splits["train"][1 : int(share * 700)]):
                row["review"] = " ".join(random.permutation(GADGETS[index % 5].split()))

        return change

    judge(before)
    live = tmp_path / "run" / TEXT_PROFILE_FILE
    assert not failed(judge(before, live=live, name="same"))
    assert judge(mixed(0.15), live=live, name="few")["drift/review/embedding"].passed
    gates = judge(mixed(0.35), live=live, name="mixed")
    gate = gates["drift/review/embedding"]
    assert gate.blocks
    assert gates["drift/review/unseen_words"].passed
    assert all(
        set(row.strip("'…").split()[:4]) & {word for text in GADGETS for word in text.split()} for row in gate.rows
    )


def test_words_that_became_frequent_are_named(judge, tmp_path):
    judge()

    def sign(splits):
        for row in splits["train"]:
            row["review"] += " fabric soft" * 6

    gate = judge(sign, live=tmp_path / "run" / TEXT_PROFILE_FILE, name="signed")["drift/review/words"]
    assert gate.blocks
    assert re.search("More frequent than there: (fabric, soft|soft, fabric), ", gate.why)


def test_what_an_old_version_does_not_remember_warns_once(judge, tmp_path):
    judge()
    live = tmp_path / "run" / TEXT_PROFILE_FILE
    old = json.loads(live.read_text())
    for name in ("counts", "languages", "place", "placed"):
        del old["review"][name]
    (tmp_path / "old.json").write_text(json.dumps(old))
    gates = judge(live=tmp_path / "old.json", name="new")
    assert failed(gates) == {"drift/review/words"}
    assert not gates["drift/review/words"].blocks
    assert "told without blocking; the version that replaces it keeps one" in gates["drift/review/words"].why
    assert gates["drift/review/unseen_words"].passed
    gates = judge(live=tmp_path / "nowhere.json", name="no_record")
    assert failed(gates) == {"drift/review"}
    assert not gates["drift/review"].blocks


def test_what_cannot_be_measured_does_not_pass(judge):
    def empty(splits):
        splits["eval"], splits["test"] = [], []

    gates = judge(empty)
    assert failed(gates) == {"leak"}


def test_rows_without_texts_repeat_by_nature_and_only_warn(judge):
    gates = judge(features={"department": "category"})
    assert gates["duplicates/test"].value == 1
    assert not gates["duplicates/test"].blocks
    assert not gates["label_conflicts"].blocks
