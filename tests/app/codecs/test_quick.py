"""The quick ways to parse JSON, for small bodies and for others, beside the sure one."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from app.codecs import quick
from app.codecs.json import decode, decode_surely
from app.codecs.nests import JsonReader
from app.codecs.small import small_fields
from app.errors import GyozaError
from app.tensors import TensorError

needs_parser = pytest.mark.skipif(quick.simdjson is None, reason="there is no pysimdjson for this Python")
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -0.0, 1e39, -1e39, 3.4028235677973366e38, 5e-324, 2**63, 2**64 - 1, 2**64, 10**400]),
)
ENTRIES: st.SearchStrategy[Any] = NUMBERS | st.booleans() | st.none() | st.text(max_size=3) | st.just({})
RAGGED = st.recursive(ENTRIES, lambda inner: st.lists(inner, max_size=3), max_leaves=12)
SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=5, max_side=3)
REGULAR = SHAPES.flatmap(
    lambda shape: st.lists(NUMBERS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
        lambda numbers: nested(numbers, shape)
    )
)
NAMES = st.sampled_from(["latents", "codes", "a[", 'a"b', "é", "a\x00b", ""]) | st.text(max_size=3)
TENSORS = RAGGED | REGULAR
BODIES = st.dictionaries(NAMES, TENSORS | st.dictionaries(NAMES, TENSORS, max_size=2), max_size=3) | TENSORS


def nested(numbers: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Put numbers into lists of a shape."""
    array = np.empty(len(numbers), object)
    array[:] = numbers
    result: list[Any] = array.reshape(shape).tolist()
    return result


def arrays(values: Any, reader: JsonReader) -> Any:
    """Make arrays of a field, and of the members of an object; or what is said of it."""
    if isinstance(values, dict):
        return {name: arrays(value, reader) for name, value in values.items()}
    try:
        array = reader(values)
    except TensorError as error:
        return str(error), error.index
    return array.shape, array.dtype, array.tobytes()


WAYS: dict[str, Callable[[bytes], Any]] = {
    "chosen by size": decode,
    "small": lambda body: small_fields(body) or decode_surely(body),
    "quick": lambda body: quick.quick_fields(body) or decode_surely(body),
}


def read(body: bytes, way: Callable[[bytes], Any] = decode_surely) -> Any:
    """Decode a body in one of the ways to arrays, or to what is said of it."""
    try:
        fields = way(body)
        return arrays(fields, JsonReader(np.dtype("float32")))
    except GyozaError as error:
        return str(error)


@pytest.mark.parametrize("way", WAYS)
@given(body=BODIES.map(json.dumps).map(str.encode))
@example(body=b'{"latents": [[1, 2], [3]]}')
@example(body=b'{"latents": [[1, 2], [3, [4]]]}')
@example(body=b'{"latents": [[1, 2], [[3], 4]]}')
@example(body=b'{"latents": [[1, 2], [3, []]]}')
@example(body=b'{"latents": [[1, 2], 3]}')
@example(body=b'{"latents": [[1], [true]]}')
@example(body=b'{"latents": [[-0, 1.0e-400, 1E5]]}')
@example(body=b'\xef\xbb\xbf{"latents": [[1]]}')
@example(body=b'{"latents": [[1]], "latents": [[2]]}')
@example(body=b'{"factors": {"a": [[1]], "a": [[2]]}}')
def test_all_ways_say_the_same(way: str, body: bytes) -> None:
    """A body gives the same arrays, bit by bit, or the same refusal of the same place, whichever way it goes."""
    assert read(body, WAYS[way]) == read(body)


@pytest.mark.parametrize("way", WAYS)
@given(tensor=REGULAR, data=st.data())
def test_all_ways_say_the_same_of_broken_bytes(way: str, tensor: list[Any], data: st.DataObject) -> None:
    """The same holds once some bytes of a good body were changed for others."""
    body = bytearray(json.dumps({"latents": tensor, "codes": [[1, 2.5], [3, -4e-7]]}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(b'[]{},:"e.-+0123456789 tfn\\\xff'))
    assert read(bytes(body), WAYS[way]) == read(bytes(body))


@needs_parser
@given(arrays_of.arrays("float32", SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_lists_of_float32_read_back(array: np.ndarray[Any, Any]) -> None:
    """What ``tolist`` makes of float32 values goes the quick way and reads back to the same values."""
    fields = quick.quick_fields(json.dumps({"latents": array.tolist()}).encode())
    assert fields is not None
    np.testing.assert_array_equal(JsonReader(array.dtype)(fields["latents"]), array)


COMMON = [
    b'{"latents": [[1, 2.5], [3, 4]]}',
    b' {"factors": {"a": [[1], [2]], "b": [[1, 2], [3, 4]]}} ',
    b'{"latents": [[[1], [2]], [[3], [4]]], "codes": [1]}',
    b'{"latents": [[1e39]]}',
]
RARE = [
    b"",
    b"[[1]]",
    b"1",
    b"{}",
    b'{"latents": 1}',
    b'{"latents": []}',
    b'{"latents": [[]]}',
    b'{"latents": [[1], []]}',
    b'{"latents": [["x"]]}',
    b'{"latents": [[NaN]]}',
    b'{"latents": [[1e400]]}',
    b'{"latents": [[99999999999999999999]]}',
    b'{"latents": {"a": {"b": [1]}}}',
    b'{"latents": ' + b"[" * 9 + b"1" + b"]" * 9 + b"}",
    b'{"latents": ' + b"[" * 2000 + b"1" + b"]" * 2000 + b"}",
    b"{" + b",".join(b'"%d": [1]' % number for number in range(65)) + b"}",
]


@needs_parser
@pytest.mark.parametrize("body", COMMON)
def test_common_bodies_go_the_quick_way(body: bytes) -> None:
    """Nested lists of numbers, also by the names of factors, are parsed to arrays at once."""
    assert quick.quick_fields(body)


@pytest.mark.parametrize("body", RARE)
def test_other_bodies_go_the_sure_way(body: bytes) -> None:
    """Everything else is left to the parser that names what is wrong."""
    assert not quick.quick_fields(body)


def test_it_works_without_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the parser is not installed, a body gives the same."""
    before = read(COMMON[0], WAYS["quick"])
    monkeypatch.setattr(quick, "simdjson", None)
    assert quick.quick_fields(COMMON[0]) is None
    assert read(COMMON[0], WAYS["quick"]) == before


@given(st.binary())
def test_no_bytes_break_it(body: bytes) -> None:
    """Whatever bytes a body holds, they are fields or none."""
    with suppress(GyozaError):
        assert isinstance(decode(body), dict)


@pytest.mark.parametrize("body", [b'{"latents": [[1, 2.5], [-3, 4e-7]]}', b'{"latents": [[1e39]], "codes": [[0]]}'])
def test_small_bodies_go_a_short_way(body: bytes) -> None:
    """A few rows of numbers are parsed to arrays at once."""
    found = small_fields(body)
    assert found
    assert {name: array.tolist() for name, array in found.items()} == json.loads(body)


@pytest.mark.parametrize("body", [*RARE[:9], b'{"latents": [1, 2]}', b'{"latents": "ab"}', b'{"latents": [[true]]}'])
def test_small_bodies_of_other_kinds_go_the_sure_way(body: bytes) -> None:
    """Everything else is left to the parser that names what is wrong."""
    assert not small_fields(body)
