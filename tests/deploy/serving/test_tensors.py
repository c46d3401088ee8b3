import numpy as np
import pytest
import tensorflow as tf

from deploy.serving.tensors import fill_proto, to_array

TYPES = [
    "float32",
    "float64",
    "int32",
    "uint8",
    "int16",
    "int8",
    "complex64",
    "int64",
    "bool",
    "bfloat16",
    "uint16",
    "complex128",
    "float16",
    "uint32",
    "uint64",
]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0)])
def test_every_type_reads_what_tensorflow_writes_and_back(name, shape):
    dtype = tf.as_dtype(name).as_numpy_dtype
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    packed = tf.make_tensor_proto(array)
    assert to_array(packed).dtype == dtype
    np.testing.assert_array_equal(to_array(packed), array)
    written = type(packed)()
    fill_proto(array, written)
    assert not written.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(written), array)
    np.testing.assert_array_equal(to_array(written), array)


def test_any_byte_but_zero_is_true():
    proto = type(tf.make_tensor_proto(False))(dtype=10, tensor_content=b"\x00\x01\x02")
    proto.tensor_shape.dim.add().size = 3
    assert to_array(proto).tobytes() == b"\x00\x01\x01"


def test_strings_keep_their_bytes():
    array = np.array([[b"", b"a\0b"], ["żółć".encode(), b"\xff"]], object)
    proto = tf.make_tensor_proto(array)
    assert to_array(proto).tolist() == array.tolist()
    written = type(proto)()
    fill_proto(array, written)
    assert written == proto


def test_packed_strings_are_lengths_and_then_the_strings():
    proto = tf.make_tensor_proto([b"x", b"x"])
    proto.ClearField("string_val")
    long = b"l" * 300
    proto.tensor_content = b"\x02" + b"\xac\x02" + b"ab" + long
    assert to_array(proto).tolist() == [b"ab", long]


@pytest.mark.parametrize("content", [b"\x02", b"\x02\x02a", b"\x01\x01abc", b"\xff\xff\xff\xff\xff\xff"])
def test_packed_strings_that_do_not_fit_are_refused(content):
    proto = tf.make_tensor_proto([b"x", b"x"])
    proto.tensor_content = content
    with pytest.raises(ValueError, match="strings"):
        to_array(proto)


@pytest.mark.parametrize(
    ("values", "expected"), [([], [0, 0, 0]), ([5], [5, 5, 5]), ([5, 6], [5, 6, 6]), ([1, 2, 3, 4], [1, 2, 3])]
)
def test_the_last_value_is_repeated_and_none_is_zero(values, expected):
    proto = tf.make_tensor_proto([1, 2, 3])
    proto.ClearField("tensor_content")
    proto.int_val[:] = values
    assert to_array(proto).tolist() == expected


def test_the_last_string_is_repeated():
    proto = tf.make_tensor_proto(["a"], shape=[3])
    assert to_array(proto).tolist() == [b"a"] * 3


def broken(**fields):
    proto = tf.make_tensor_proto([1.0, 2.0])
    for name, value in fields.items():
        if name == "dims":
            proto.tensor_shape.ClearField("dim")
            for size in value:
                proto.tensor_shape.dim.add().size = size
        elif name == "unknown_rank":
            proto.tensor_shape.unknown_rank = value
        else:
            setattr(proto, name, value)
    return proto


@pytest.mark.parametrize(
    ("proto", "match"),
    [
        (broken(dtype=0), "DataType 0"),
        (broken(dtype=21), "DataType 21"),
        (broken(unknown_rank=True), "no rank"),
        (broken(dims=[-1]), "Shape"),
        (broken(dims=[1] * 65), "Shape"),
        (broken(dims=[2**40, 2**40]), "more than"),
        (broken(dims=[3]), "8 bytes are not 3 values of type float"),
        (broken(tensor_content=b"abc"), "3 bytes are not 2 values"),
    ],
)
def test_what_is_no_tensor_is_refused(proto, match):
    with pytest.raises(ValueError, match=match):
        to_array(proto)


def test_a_type_that_tensorflow_has_not_is_refused():
    with pytest.raises(ValueError, match="datetime64"):
        fill_proto(np.array(["2020-01-01"], "datetime64[s]"), tf.make_tensor_proto([1]))
