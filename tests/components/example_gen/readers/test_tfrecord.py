import pytest
import tensorflow as tf

from components.example_gen.errors import InputDataError
from components.example_gen.readers.tfrecord import read_tfrecord


def example(**features):
    def feature(values):
        if values and isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if values and isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    return tf.train.Example(
        features=tf.train.Features(feature={key: feature(values) for key, values in features.items()})
    ).SerializeToString()


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def test_single_values_are_unpacked_and_absent_ones_null(tmp_path):
    path = write(tmp_path / "a", [example(text=[b"a"], n=[1]), example(), example(text=[b"c"], n=[3], x=[0.5])])
    (batch,) = read_tfrecord(path, "a", ("text", "n"))
    assert {name: values.to_pylist() for name, values in batch.columns.items()} == {
        "text": [b"a", None, b"c"],
        "n": [1, None, 3],
    }
    assert batch.raw(0) == {"text": [b"a"], "n": [1]}


def test_a_feature_of_two_types_is_read_as_text(tmp_path):
    path = write(tmp_path / "a", [example(n=[1]), example(n=[0.5]), example(n=[b"2"]), example(n=[16777216.0])])
    (batch,) = read_tfrecord(path, "a", ("n",))
    assert batch.columns["n"].to_pylist() == [b"1", b"0.5", b"2", b"16777216"]


def test_lists_and_other_messages_are_refused_by_row(tmp_path):
    path = write(tmp_path / "a", [example(n=[1]), b"\xff\xff no example", example(n=[2, 3]), example(n=[4])])
    (batch,) = read_tfrecord(path, "a", ("n",))
    assert batch.columns["n"].to_pylist() == [b"1", b"4"]
    assert batch.rows.tolist() == [1, 4]
    assert sorted((bad.row, bad.reason) for bad in batch.bad) == [(2, "invalid_example"), (3, "not_a_single_value")]


def test_a_file_without_any_example_is_refused_by_row(tmp_path):
    (batch,) = read_tfrecord(write(tmp_path / "a", [b"\xff\xff", b"\xff\xff"]), "a", ("n",))
    assert [bad.row for bad in batch.bad] == [1, 2]


def test_a_file_that_breaks_off_is_refused(tmp_path):
    path = write(tmp_path / "a", [example(text=[b"x" * 100])] * 10)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-30])
    with pytest.raises(InputDataError, match="`name` is no sound TFRecord file"):
        list(read_tfrecord(path, "name", None))
