"""JSON bodies and the values in them."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from app.codecs import CODECS
from app.codecs.json import decode, encode
from app.codecs.nests import JsonReader, array_of_lists
from app.errors import GyozaError, InvalidInput
from app.tensors import Form, TensorError

SHAPES = arrays_of.array_shapes(min_dims=2, max_dims=4, max_side=4)


def finite(dtype: str) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays [n, …] of finite entries."""
    entries = st.floats(allow_nan=False, allow_infinity=False, width=64 if dtype == "float64" else 32)
    return arrays_of.arrays(dtype, SHAPES, elements=entries)


ARRAYS = st.sampled_from(["float32", "float64"]).flatmap(finite)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)
BASE64 = st.fixed_dictionaries({"dtype": VALUES, "shape": VALUES, "base64": VALUES})


@given(ARRAYS, st.sampled_from(Form))
def test_arrays_survive(array: np.ndarray[Any, Any], form: Form) -> None:
    """What is written in either form reads back to the same array, bit by bit, and its form is noticed."""
    reader = JsonReader(array.dtype)
    fields = decode(encode({"latents": array}, form))
    found = reader(fields["latents"])
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert reader.form is form


@given(ARRAYS)
def test_only_tensors_take_the_form(array: np.ndarray[Any, Any]) -> None:
    """Per-row numbers are lists always, factors take the form, everything else is written as it is."""
    fields = {"logdet": array.reshape(-1), "factors": {"digit": array[:, ::2], "hue": array[::-1]}, "version": "1"}
    read = json.loads(encode(fields, Form.BASE64))
    assert np.array(read["logdet"]).shape == (array.size,)
    assert read["version"] == "1"
    np.testing.assert_array_equal(JsonReader(array.dtype)(read["factors"]["digit"]), array[:, ::2])
    np.testing.assert_array_equal(JsonReader(array.dtype)(read["factors"]["hue"]), array[::-1])


@given(VALUES | BASE64)
def test_no_value_breaks_the_reader(value: object) -> None:
    """Whatever JSON value stands in a tensor's place, it is an array of finite numbers or it is refused."""
    with suppress(TensorError, GyozaError):
        array = JsonReader(np.dtype("float32"))(value)
        assert np.isfinite(array).all()
        assert array.size


@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_breaks_the_codec(body: bytes) -> None:
    """Whatever bytes a body holds, it is an object or it is refused."""
    with suppress(GyozaError):
        assert isinstance(decode(body), dict)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=5))
def test_fields_are_given_once(pairs: list[tuple[str, int]]) -> None:
    """An object that names a field twice is refused, at any depth; any other is read."""
    inner = "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
    body = f'{{"factors": {inner}, "note": "a:b", "edits": [{inner}]}}'.encode()
    if len(dict(pairs)) == len(pairs):
        assert decode(body)["factors"] == dict(pairs)
    else:
        with pytest.raises(InvalidInput, match="must be given once"):
            decode(body)


def test_lists_before_any_tensor() -> None:
    """Where a body has no tensor, answers come as lists."""
    assert JsonReader(np.dtype("float32")).form is Form.LISTS


def test_the_first_fault_is_named() -> None:
    """Of several faults the first in C order is named, whichever its kind; a finite edge value is none."""
    largest = float(np.finfo(np.float32).max)
    with pytest.raises(TensorError) as caught:
        array_of_lists([[largest * (1 + 1e-9), 1.0], [float("nan"), "x"]], np.dtype("float32"))
    assert caught.value.index == (1, 0)


@pytest.mark.parametrize("depth", [500, 1000, 1020, 100_000])
def test_deep_bodies_are_refused(depth: int) -> None:
    """A body that is nested more deeply than can be looked through is malformed, not a bug."""
    with pytest.raises((GyozaError, TensorError)):
        JsonReader(np.dtype("float32"))(decode(b'{"latents":' * depth + b"1" + b"}" * depth)["latents"])


def test_long_values_are_cut() -> None:
    """A refused value is shown in a few characters."""
    with pytest.raises(TensorError, match="…") as caught:
        array_of_lists([["x" * 1000]], np.dtype("float32"))
    assert len(str(caught.value)) < 100


def test_the_table_is_keyed_by_media_type() -> None:
    """Each codec stands under its own media type."""
    assert [codec.media_type for codec in CODECS.values()] == list(CODECS)


def test_keys_have_a_bound() -> None:
    """A body of very many keys is refused at once: each could be a finding of its own."""
    body = orjson.dumps({"factors": {str(number): 0 for number in range(20_000)}})
    with pytest.raises(InvalidInput, match=r"at most 20000 keys in all\. Received: 20001"):
        decode(body)
    assert len(decode(orjson.dumps({str(number): "" for number in range(20_000)}))) == 20_000
