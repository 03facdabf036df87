"""Safetensors bodies, beside the library of that name."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors import SafetensorError

from app.codecs.safetensors import LONGEST_HEADER, SafetensorsReader, Stored, decode, encode
from app.errors import GyozaError, InvalidInput, MalformedBody
from app.tensors import Form, TensorError

F32 = np.dtype("float32")
SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=4, max_side=4)
DTYPES = st.sampled_from(["float16", "float32", "float64"])


def finite(dtype: str) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays [n, …] of finite entries."""
    return arrays_of.arrays(
        dtype, SHAPES, elements=arrays_of.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    )


ARRAYS = DTYPES.flatmap(finite)
NAMES = st.sampled_from(["latents", "codes", "logdet", "é"])


def arrays(body: bytes) -> dict[str, Any]:
    """Decode a body to arrays of the dtypes that they have."""
    fields = decode(body)
    factors: Any = fields.pop("factors", {})
    return {
        name: array_of(stored) for name, stored in {**fields, **{f"factors.{k}": v for k, v in factors.items()}}.items()
    }


def array_of(stored: Any) -> np.ndarray[Any, Any]:
    """Make an array of one stored tensor."""
    return SafetensorsReader(np.dtype({"F16": "f2", "F64": "f8"}.get(stored.dtype, "f4")))(stored)


def body_of(header: object, data: bytes = b"") -> bytes:
    """Write a file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(first: int = 0, last: int = 4, shape: object = (1, 1), dtype: object = "F32") -> dict[str, object]:
    """Describe one tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


@given(st.dictionaries(NAMES, ARRAYS, max_size=3), st.dictionaries(st.sampled_from(["a", "b.c"]), ARRAYS, max_size=2))
def test_arrays_survive(fields: Mapping[str, Any], factors: Mapping[str, Any]) -> None:
    """What is written reads back to the same arrays, bit by bit, here and by the library; texts are metadata."""
    body = encode({"model": "digits", "version": "1", **fields, "factors": dict(factors)}, Form.LISTS)
    flat = {**fields, **{f"factors.{name}": array for name, array in factors.items()}}
    for found in (arrays(body), safetensors.numpy.load(body)):
        assert found.keys() == flat.keys()
        for name, array in flat.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
    size = int.from_bytes(body[:8], "little")
    assert size % 8 == 0
    assert json.loads(body[8 : 8 + size])["__metadata__"] == {"model": "digits", "version": "1"}


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=3))
def test_files_of_the_library_are_read(fields: dict[str, Any]) -> None:
    """What the library writes, in the order and with the metadata that it likes, reads to the same arrays."""
    found = arrays(safetensors.numpy.save(fields, {"author": "somebody"}))
    assert found.keys() == fields.keys()
    for name, array in fields.items():
        np.testing.assert_array_equal(found[name], array)


@given(st.data())
def test_no_broken_bytes_give_a_wrong_array(data: st.DataObject) -> None:
    """A file whose bytes were changed or cut is refused, or is one to the library too, with the same arrays."""
    fields = data.draw(st.dictionaries(NAMES, finite("float32"), min_size=1, max_size=2))
    body = bytearray(safetensors.numpy.save(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: len(body) - data.draw(st.sampled_from([0, 0, 0, 1, 4, len(body) // 2]))]
    try:
        expected = safetensors.numpy.load(bytes(body))
    except (SafetensorError, KeyError):  # A KeyError for dtypes that NumPy has not.
        with suppress(TensorError), pytest.raises((MalformedBody, InvalidInput)):
            arrays(bytes(body))
        return
    with suppress(GyozaError, TensorError):
        for name, array in arrays(bytes(body)).items():
            np.testing.assert_array_equal(array, expected[name])


@given(st.binary() | st.binary().map(lambda data: body_of(b"{" + data)))
def test_no_bytes_break_it(body: bytes) -> None:
    """Whatever bytes a body holds, they are fields or are refused."""
    with suppress(MalformedBody, InvalidInput):
        assert isinstance(decode(body), dict)


def test_bytes_are_used_where_they_lie() -> None:
    """A tensor of the flow's dtype shares the body's memory; of another dtype, or not aligned, it is a copy."""
    array = np.arange(6, dtype=F32).reshape(2, 3)
    body = safetensors.numpy.save({"latents": array})
    lying: Any = decode(body)["latents"]
    assert np.shares_memory(SafetensorsReader(F32)(lying), np.frombuffer(body, np.uint8))
    assert SafetensorsReader(np.dtype("float64"))(lying).dtype == np.float64
    shifted = body_of(json.dumps({"latents": entry(0, 24, (2, 3))}).ljust(81).encode(), array.tobytes())
    odd: Any = decode(shifted)["latents"]
    copy = SafetensorsReader(F32)(odd)
    assert copy.flags.aligned
    np.testing.assert_array_equal(copy, array)


GOOD = {"latents": entry()}
MALFORMED = [
    (b"", "length of its header"),
    (b"\0" * 7, "length of its header"),
    (b"\xff" * 8, "length of its header"),
    ((LONGEST_HEADER + 1).to_bytes(8, "little") + b" " * (LONGEST_HEADER + 1), "at most 1048576"),
    (body_of(b"{}")[:-1], "the rest of the body. Received: 2 in a body of 9 bytes"),
    (body_of(b""), "a JSON object"),
    (body_of(b"[1]"), "a JSON object"),
    (body_of(b"{"), "a JSON object"),
    (body_of(b'{"a": 1, "a": 1}'), "must be given once"),
    (body_of(b"{}", b"x"), "as its tensors, 0. Received: 1"),
    (body_of({"__metadata__": {"a": 1}}), "texts by names"),
    (body_of({"__metadata__": []}), "texts by names"),
    (body_of({"latents": 1}), "dtype, shape and data_offsets of latents"),
    (body_of({"latents": {**entry(), "more": 1}}, b"1234"), "dtype, shape and data_offsets"),
    (body_of({"latents": entry(dtype=4)}, b"1234"), "dtype, shape and data_offsets"),
    (body_of({"latents": entry(shape=4)}, b"1234"), "integers of 0 or more"),
    (body_of({"latents": entry(shape=[True])}, b"1234"), "integers of 0 or more"),
    (body_of({"latents": entry(shape=[-1, -1])}, b"1234"), "integers of 0 or more"),
    (body_of({"latents": entry(4, 0)}, b"1234"), "integers of 0 or more"),
    (body_of({"latents": {**entry(), "data_offsets": [0]}}, b"1234"), "integers of 0 or more"),
    (body_of(GOOD, b"123"), "as its tensors, 4. Received: 3"),
    (body_of(GOOD, b"12345"), "as its tensors, 4. Received: 5"),
    (body_of({"latents": entry(shape=(1, 2))}, b"1234"), "8 bytes, as latents of shape"),
    (body_of({"latents": entry(1, 5)}, b"12345"), "latents must begin at byte 0. Received: 1"),
    (body_of({"a": entry(), "b": entry(8, 12)}, b"1234" * 3), "b must begin at byte 4. Received: 8"),
    (body_of({"a": entry(), "b": entry()}, b"1234"), "b must begin at byte 4. Received: 0"),
]


@pytest.mark.parametrize(("body", "text"), MALFORMED)
def test_what_is_no_file_is_refused(body: bytes, text: str) -> None:
    """Bytes that are no safetensors file are malformed, and it is said what must hold."""
    with pytest.raises(MalformedBody) as caught:
        decode(body)
    assert text in str(caught.value)


def test_fields_that_break_a_rule() -> None:
    """Too many axes, and factors that are not one tensor each, are refused by name."""
    with pytest.raises(InvalidInput, match="latents: must have at most 32 axes"):
        decode(body_of({"latents": entry(shape=[1] * 33)}, b"1234"))
    with pytest.raises(InvalidInput, match=r"factors: must be one tensor a factor, each named factors\.<name>"):
        decode(body_of({"factors": entry()}, b"1234"))


def test_names_with_other_dots_are_names() -> None:
    """Only the names of factors are taken apart."""
    body = body_of({"a.b": entry(), "factors.c.d": entry(4, 8)}, b"12345678")
    assert decode(body).keys() == {"a.b", "factors"}
    assert decode(body)["factors"] == {"c.d": Stored("F32", (1, 1), memoryview(b"5678"))}


@pytest.mark.parametrize(
    ("stored", "index", "text"),
    [
        (Stored("BF16", (2,), memoryview(b"1234")), (), "the dtype F16, F32, F64. Received: BF16"),
        (Stored("F32", (), memoryview(b"1234")), (), r"at least one row .* Received: shape \[\]"),
        (Stored("F32", (0, 4), memoryview(b"")), (), r"at least one row .* Received: shape \[0, 4\]"),
        (Stored("F32", (1, 0), memoryview(b"")), (), "one number in it"),
        (
            Stored("F64", (1, 2), memoryview(np.array([1, 1e39]).tobytes())),
            (0, 1),
            r"finite in float32. Received: 1e\+39",
        ),
        (Stored("F16", (2,), memoryview(np.array([1, np.nan], "<f2").tobytes())), (1,), "Received: nan"),
    ],
)
def test_values_that_break_a_rule(stored: Stored, index: tuple[int, ...], text: str) -> None:
    """A tensor of another dtype, without rows or with an entry that is not finite is refused by its place."""
    with pytest.raises(TensorError, match=text) as caught:
        SafetensorsReader(F32)(stored)
    assert caught.value.index == index


def test_per_row_numbers_and_odd_strides_are_written() -> None:
    """Arrays of one axis, and views that lie otherwise in memory, are written as what they show."""
    codes = np.arange(12, dtype=F32).reshape(3, 4)
    found = safetensors.numpy.load(encode({"factors": {"a": codes[:, 1:3]}, "logdet": codes[:, 0]}, Form.BASE64))
    np.testing.assert_array_equal(found["factors.a"], codes[:, 1:3])
    np.testing.assert_array_equal(found["logdet"], codes[:, 0])
