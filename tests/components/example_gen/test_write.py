import json

import pyarrow as pa
import tensorflow as tf

from components.example_gen.readers.batch import BadRow
from components.example_gen.write import QuarantineWriter, ShardWriter, encode_examples


def test_examples_hold_the_values_in_order_and_lack_missing_keys():
    features = {
        "text": pa.array(["a", None, "ç\0", None], pa.large_string()),
        "n": pa.array([1.5, 2, None, None], pa.float32()),
        "label": pa.array(["x", "y", "x", "y"], pa.large_string()),
    }
    examples = [tf.train.Example.FromString(example).features.feature for example in encode_examples(features)]
    assert [sorted(example) for example in examples] == [
        ["label", "n", "text"],
        ["label", "n"],
        ["label", "text"],
        ["label"],
    ]
    assert examples[0]["n"].float_list.value == [1.5]
    assert examples[2]["text"].bytes_list.value == ["ç\0".encode()]
    assert [example["label"].bytes_list.value[0] for example in examples] == [b"x", b"y", b"x", b"y"]


def test_slices_of_arrays_are_encoded_from_their_own_start():
    values = pa.array(["a", "b", "c"], pa.large_string())[1:]
    (first, _) = encode_examples({"text": values})
    assert tf.train.Example.FromString(first).features.feature["text"].bytes_list.value == [b"b"]


def test_a_full_shard_is_followed_by_the_next(tmp_path):
    writer = ShardWriter(str(tmp_path), 7, shard_bytes=100)
    for row in range(10):
        writer.write(b"%030d" % row)
    writer.close()
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"data_tfrecord-00007-0000{shard}.gz" for shard in range(3)]
    records = tf.data.TFRecordDataset(list(map(str, paths)), "GZIP").as_numpy_iterator()
    assert list(map(int, records)) == list(range(10))


def test_nothing_written_leaves_no_file(tmp_path):
    ShardWriter(str(tmp_path), 0).close()
    QuarantineWriter(str(tmp_path / "q.jsonl"), "a.csv").close()
    assert not list(tmp_path.iterdir())


def test_bad_rows_are_sound_json_whatever_they_hold(tmp_path):
    writer = QuarantineWriter(str(tmp_path / "q.jsonl"), "a.csv")
    writer.write(BadRow(1, 2, "undecodable", {"column": "a"}, "caf\udce9\u2028\0"))
    writer.write(BadRow(3, None, "not_a_single_value", {"column": "a"}, {"a": [b"\xff", 1.5]}))
    writer.close()
    first, second = map(json.loads, (tmp_path / "q.jsonl").read_bytes().decode().strip().split("\n"))
    assert first == {
        "file": "a.csv",
        "row": 1,
        "line": 2,
        "reason": "undecodable",
        "detail": {"column": "a"},
        "raw": "caf\\xe9\u2028\0",
    }
    assert second["raw"] == {"a": ["\\xff", 1.5]}


def test_several_values_are_written_as_a_list():
    features = {"topics": pa.array([["a", "b"], None], pa.large_list(pa.large_string()))}
    both, none = [tf.train.Example.FromString(each).features.feature for each in encode_examples(features)]
    assert list(both["topics"].bytes_list.value) == [b"a", b"b"]
    assert "topics" not in none
