"""TensorProto to numpy and back, without TensorFlow: server and client share it.

Reading follows `Tensor::FromProto` of TensorFlow's C++ (packed content, or typed values of which the last is
repeated, or none for zeros), writing follows `Tensor::AsProtoField`. Any message with TensorProto's fields will do.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_TENSOR_BYTES = 1 << 30
"""A few bytes on the wire can claim any shape (the last value is repeated): larger claims are refused."""

MAX_RANK = 64  # numpy's; TensorFlow itself takes 254
_STRING_BYTES = 24  # of one empty string inside TensorFlow


class ElementType(NamedTuple):
    """One DataType: its number and texts in TensorFlow, its numpy name, the field that holds its values."""

    number: int
    name: str
    numpy_name: str
    field: str

    @property
    def enum_name(self) -> str:
        return f"DT_{self.name.upper()}"

    @property
    def dtype(self) -> np.dtype[Any]:
        return _dtype(self.numpy_name)


@functools.cache
def _dtype(numpy_name: str) -> np.dtype[Any]:
    if numpy_name == "bfloat16":
        import ml_dtypes  # numpy has no bfloat16 of its own; only models that use it pay for the import

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(numpy_name)


_TYPES = (
    ElementType(1, "float", "float32", "float_val"),
    ElementType(2, "double", "float64", "double_val"),
    ElementType(3, "int32", "int32", "int_val"),
    ElementType(4, "uint8", "uint8", "int_val"),
    ElementType(5, "int16", "int16", "int_val"),
    ElementType(6, "int8", "int8", "int_val"),
    ElementType(7, "string", "object", "string_val"),
    ElementType(8, "complex64", "complex64", "scomplex_val"),
    ElementType(9, "int64", "int64", "int64_val"),
    ElementType(10, "bool", "bool", "bool_val"),
    ElementType(14, "bfloat16", "bfloat16", "half_val"),
    ElementType(17, "uint16", "uint16", "int_val"),
    ElementType(18, "complex128", "complex128", "dcomplex_val"),
    ElementType(19, "half", "float16", "half_val"),
    ElementType(22, "uint32", "uint32", "uint32_val"),
    ElementType(23, "uint64", "uint64", "uint64_val"),
)
BY_NUMBER = {element_type.number: element_type for element_type in _TYPES}
_BY_NUMPY_NAME = {element_type.numpy_name: element_type for element_type in _TYPES}
STRING = BY_NUMBER[7]


def element_type_of(array: Array) -> ElementType:
    """The TensorFlow type of a numpy array (object, `U` and `S` arrays are strings).

    Raises:
        ValueError: TensorFlow has no such type.
    """
    return _element_type(array.dtype)


@functools.lru_cache(maxsize=256)  # numpy spells out a type's name each time; `S5` and `S6` are types of their own
def _element_type(dtype: np.dtype[Any]) -> ElementType:
    if dtype.kind in "OSU":
        return STRING
    element_type = _BY_NUMPY_NAME.get(dtype.name)
    if element_type is None:
        raise ValueError(f"A tensor cannot hold numpy type {dtype.name}.")
    return element_type


def to_array(proto: Any) -> Array:
    """Reads a TensorProto.

    Args:
        proto: TensorProto of any shape; strings become object arrays of bytes.

    Returns:
        The array; it may share memory with the message and is read-only then.

    Raises:
        ValueError: The message is not a valid tensor, or claims more than `MAX_TENSOR_BYTES`.
    """
    element_type = BY_NUMBER.get(proto.dtype)
    if element_type is None:
        raise ValueError(f"DataType {proto.dtype} cannot be read.")
    shape = _shape_of(proto.tensor_shape)
    size = math.prod(shape)
    itemsize = _STRING_BYTES if element_type is STRING else element_type.dtype.itemsize
    if size * itemsize > MAX_TENSOR_BYTES:
        raise ValueError(f"A tensor of shape {list(shape)} takes more than {MAX_TENSOR_BYTES} bytes.")
    if size == 0:
        return np.empty(shape, element_type.dtype)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, element_type, size).reshape(shape)
    return _from_values(getattr(proto, element_type.field), element_type, size).reshape(shape)


def fill_proto(array: Array, proto: Any) -> None:
    """Writes an array into an empty TensorProto, one typed value per element.

    Raises:
        ValueError: TensorFlow has no type for the array's.
    """
    element_type = element_type_of(array)
    proto.dtype = element_type.number
    # An empty shape message still says "scalar"; without this the field would be missing.
    proto.tensor_shape.SetInParent()
    for length in array.shape:
        proto.tensor_shape.dim.add().size = length
    values = getattr(proto, element_type.field)
    flat = array.reshape(-1)
    if element_type is STRING:
        texts = flat.tolist()
        if set(map(type, texts)) - {bytes}:
            texts = [value if isinstance(value, bytes) else str(value).encode() for value in texts]
        values.extend(texts)
    elif element_type.field == "half_val":
        values.extend(flat.view(np.uint16).tolist())
    elif array.dtype.kind == "c":
        parts = np.ascontiguousarray(flat).view(np.float32 if element_type.name == "complex64" else np.float64)
        values.extend(parts.tolist())
    else:
        values.extend(flat.tolist())


def _shape_of(proto: Any) -> tuple[int, ...]:
    if proto.unknown_rank:
        raise ValueError("The shape has no rank.")
    shape = tuple([dim.size for dim in proto.dim])
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise ValueError(f"Shape {list(shape)} is none.")
    return shape


def _from_content(content: bytes, element_type: ElementType, size: int) -> Array:
    if element_type is STRING:
        return _strings_from_content(content, size)
    if len(content) != size * element_type.dtype.itemsize:
        raise ValueError(f"{len(content)} bytes are not {size} values of type {element_type.name}.")
    if element_type.dtype == np.bool_:
        return np.frombuffer(content, np.uint8) != 0  # any byte may come, and numpy wants 0 or 1
    return np.frombuffer(content, element_type.dtype)


def _strings_from_content(content: bytes, size: int) -> Array:
    """Reads `size` varint lengths, then the strings one after another (`DecodeStringList` of TensorFlow)."""
    lengths = []
    position = 0
    for _ in range(size):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise ValueError("The lengths of the strings cannot be read.")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError("The strings and their lengths do not fit.")
    array = np.empty(size, object)
    for index, length in enumerate(lengths):
        array[index] = content[position : position + length]
        position += length
    return array


def _from_values(values: Any, element_type: ElementType, size: int) -> Array:
    if element_type is STRING:
        array = np.empty(size, object)
        taken = list(values[:size])
        array[: len(taken)] = taken
        array[len(taken) :] = taken[-1] if taken else b""
        return array
    if element_type.field == "half_val":
        given = np.fromiter((value & 0xFFFF for value in values), np.uint16, len(values)).view(element_type.dtype)
    elif element_type.dtype.kind == "c":
        part = np.float32 if element_type.name == "complex64" else np.float64
        given = np.array(values, part)[: len(values) // 2 * 2].view(element_type.dtype)
    elif element_type.field == "int_val":
        given = np.array(values, np.int32).astype(element_type.dtype)
    else:
        given = np.array(values, element_type.dtype)
    if len(given) >= size:
        return given[:size]
    filled = np.full(size, given[-1] if len(given) else element_type.dtype.type(0), element_type.dtype)
    filled[: len(given)] = given
    return filled
