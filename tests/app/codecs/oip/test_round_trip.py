"""What is written in the Open Inference Protocol is read, whatever part of it is JSON."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from app.codecs import oip, quick
from app.codecs.oip import documents
from app.codecs.oip.datatypes import WIRE
from app.errors import GyozaError
from tests.app.codecs.oip.bodies import DATATYPES, body_of, client_read

SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=4, max_side=4)
FLOATS = st.sampled_from(["float16", "float32", "float64"])


def finite(dtype: str) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays [n, …] of finite entries."""
    elements = arrays_of.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    return arrays_of.arrays(dtype, SHAPES, elements=elements)


ARRAYS = FLOATS.flatmap(finite)
WAYS = st.sampled_from(["binary", "flat", "nested"])


@given(st.lists(st.tuples(ARRAYS, WAYS), min_size=1, max_size=4))
def test_any_split_of_binary_and_json_is_read(tensors: list[tuple[np.ndarray[Any, Any], str]]) -> None:
    """Whichever tensors are bytes and whichever numbers, flat or nested, each reads back to the same array."""
    named = {f"t{number}": tensor for number, tensor in enumerate(tensors)}
    body, json_bytes = body_of(named)
    request = oip.read(body, json_bytes)
    assert [tensor.name for tensor in request.inputs] == list(named)
    for tensor, (array, _) in zip(request.inputs, tensors, strict=True):
        found = oip.array_of(tensor, array.dtype)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@given(st.lists(st.tuples(ARRAYS, st.booleans()), min_size=1, max_size=4), st.text())
def test_any_answer_is_read(tensors: list[tuple[np.ndarray[Any, Any], bool]], identity: str) -> None:
    """A client reads the same arrays from an answer, those that it wants as bytes from behind the JSON."""
    outputs = {f"t{number}": array for number, (array, _) in enumerate(tensors)}
    wanted = {f"t{number}": binary for number, (_, binary) in enumerate(tensors)}
    for order in (list(wanted), list(wanted)[::-1]):
        content, json_bytes = oip.written(
            oip.Head("tiny.encode", "2", identity), outputs, {name: wanted[name] for name in order}
        )
        head, found = client_read(content, json_bytes)
        assert (head["model_name"], head["model_version"], head["id"]) == ("tiny.encode", "2", identity)
        assert (json_bytes is None) == (not any(wanted.values()))
        assert json_bytes is None or json_bytes % 8 == 0
        assert list(found) == order
        for name, array in found.items():
            assert array.dtype == outputs[name].dtype
            np.testing.assert_array_equal(array, outputs[name])


def test_parts_of_rows_are_written() -> None:
    """Columns of an array, as factors are, are written as if they were an array of their own."""
    codes = np.arange(12, dtype=np.float32).reshape(3, 4)
    for binary in (True, False):
        content, json_bytes = oip.written(oip.Head("m", "1", "i"), {"digit": codes[:, 2:3]}, {"digit": binary})
        np.testing.assert_array_equal(client_read(content, json_bytes)[1]["digit"], codes[:, 2:3])


@given(arrays_of.arrays(st.sampled_from([f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)]), SHAPES), WAYS)
def test_integers_are_exact_or_refused(array: np.ndarray[Any, Any], way: str) -> None:
    """Integers of any datatype become floats of the same value, or are refused where they are too large for that."""
    body, json_bytes = body_of({"t": (array, way)})
    (tensor,) = oip.read(body, json_bytes).inputs
    for dtype, limit in ((np.float16, 2**11), (np.float32, 2**24), (np.float64, 2**53)):
        fits = all(-limit < int(entry) < limit for entry in array.flat)
        if not fits:
            with pytest.raises(GyozaError, match=f"below {limit}"):
                oip.array_of(tensor, np.dtype(dtype))
        else:
            found = oip.array_of(tensor, np.dtype(dtype))
            assert [int(entry) for entry in found.flat] == [int(entry) for entry in array.flat]


@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["inputs", "outputs", "parameters", "id", "name", "shape", "datatype", "data", "timeout"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.none() | st.integers(0, 70),
)
def test_no_bytes_break_it(body: bytes, json_bytes: int | None) -> None:
    """Whatever bytes a body holds, they are a request or are refused."""
    with suppress(GyozaError):
        for tensor in oip.read(body, json_bytes).inputs:
            oip.array_of(tensor, np.dtype(np.float32))


@given(st.data())
def test_no_damaged_body_breaks_it(data: st.DataObject) -> None:
    """A good body whose bytes were changed or cut is a request or is refused."""
    array = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    body, json_bytes = body_of({"latents": (array, data.draw(WAYS)), "more": (array, data.draw(WAYS))})
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: len(body) - data.draw(st.sampled_from([0, 0, 0, 1, 4, len(body) // 2]))]
    with suppress(GyozaError):
        for tensor in oip.read(bytes(changed), json_bytes).inputs:
            oip.array_of(tensor, np.dtype(np.float32))


def test_bytes_are_used_where_they_lie() -> None:
    """A tensor of the flow's datatype shares the body's memory where it lies aligned; else it is a copy."""
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    body, json_bytes = body_of({"t": (array, "binary")}, pad=8)
    (tensor,) = oip.read(body, json_bytes).inputs
    assert np.shares_memory(oip.array_of(tensor, np.dtype(np.float32)), np.frombuffer(body, np.uint8))
    assert not np.shares_memory(oip.array_of(tensor, np.dtype(np.float64)), np.frombuffer(body, np.uint8))
    body, json_bytes = body_of({"t": (array, "binary")}, pad=8, more=1)
    (tensor,) = oip.read(body, json_bytes).inputs
    found = oip.array_of(tensor, np.dtype(np.float32))
    assert found.flags.aligned
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.skipif(quick.simdjson is None, reason="there is no quick parser for this Python")
def test_large_json_goes_the_quick_way(nested: bool) -> None:
    """Many numbers are parsed to one array, without an object per number; what surrounds them is as in the sure way."""
    array = np.random.default_rng(0).standard_normal((64, 64))
    data = array.tolist() if nested else array.ravel().tolist()
    tensor = {"name": "latents", "shape": [64, 64], "datatype": "FP64", "data": data, "parameters": {"x": [1, [2]]}}
    text = orjson.dumps({"id": "[", "inputs": [tensor], "outputs": [{"name": "codes"}], "model_name": None})
    assert documents.quick_document(text) is None  # One list more, in the id, and the sure way is taken.
    text = text.replace(b'"["', b'"a"')
    found = documents.quick_document(text)
    assert found is not None
    assert isinstance(found["inputs"][0].pop("data"), np.ndarray)
    assert found["inputs"][0] == {name: value for name, value in tensor.items() if name != "data"}
    (read,) = oip.read(text, None).inputs
    np.testing.assert_array_equal(oip.array_of(read, np.dtype(np.float64)), array)


def test_without_the_quick_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, large JSON is read the sure way."""
    monkeypatch.setattr(quick, "simdjson", None)
    array = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    body, json_bytes = body_of({"t": (array, "flat")})
    np.testing.assert_array_equal(oip.array_of(oip.read(body, json_bytes).inputs[0], array.dtype), array)


def test_an_id_is_no_part_of_what_is_remembered() -> None:
    """Answers alike but for their ids have the same bytes otherwise."""
    outputs = {"codes": np.ones((1, 2), np.float32)}
    first, second = (oip.written(oip.Head("m", "1", name), outputs, {"codes": True}) for name in ("a", "b"))
    assert first.content.replace(b'"id":"a"', b'"id":"b"') == second.content


def test_all_datatypes_of_numbers_are_known() -> None:
    """The datatypes of the tests are those that are read."""
    assert {*DATATYPES.values(), "BF16"} == set(WIRE)
