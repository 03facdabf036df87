"""Inflating bodies, no further than it is asked for."""

import gzip
import tracemalloc
import zlib
from contextlib import suppress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.inflation import CODINGS, MOST_MEMBERS, MOST_RATIO, STEP, inflated
from app.errors import MalformedBody

CONTENT = b'{"latents": [[1, 2, 3, 4]]}' * 40


def deflated(content: bytes, wbits: int, level: int = 6) -> bytes:
    """Compress in any wrapping."""
    compressor = zlib.compressobj(level, wbits=wbits)
    return compressor.compress(content) + compressor.flush()


def inflate(body: bytes, coding: str) -> bytes:
    """Inflate a whole body."""
    return b"".join(inflated(body, coding))


@given(st.binary(max_size=2000), st.integers(0, 9), st.sampled_from([("gzip", 31), ("deflate", 15), ("deflate", -15)]))
def test_what_was_compressed_is_found_again(content: bytes, level: int, way: tuple[str, int]) -> None:
    """Content of any kind, at any level, in any wrapping is inflated to itself."""
    coding, wbits = way
    assert inflate(deflated(content, wbits, level), coding) == content


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_members_follow_each_other(contents: list[bytes]) -> None:
    """The members of a gzip body are one content."""
    assert inflate(b"".join(map(gzip.compress, contents)), "gzip") == b"".join(contents)


@given(st.binary(max_size=200), st.sampled_from(CODINGS))
def test_no_bytes_break_it(body: bytes, coding: str) -> None:
    """Whatever bytes a body holds, it is inflated or refused."""
    with suppress(MalformedBody):
        assert isinstance(inflate(body, coding), bytes)


@given(st.data(), st.sampled_from([("gzip", 31), ("deflate", 15), ("deflate", -15)]))
def test_a_body_that_breaks_off_is_refused(data: st.DataObject, way: tuple[str, int]) -> None:
    """A body that lacks any of its last bytes is refused."""
    coding, wbits = way
    body = deflated(CONTENT, wbits)
    with pytest.raises(MalformedBody, match=f"must be {coding}"):
        inflate(body[: data.draw(st.integers(0, len(body) - 1))], coding)


@pytest.mark.parametrize(("coding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_bytes_behind_the_end_are_refused(coding: str, wbits: int) -> None:
    """A body that goes on behind its end is refused, and not half read."""
    with pytest.raises(MalformedBody, match="can't be inflated"):
        inflate(deflated(CONTENT, wbits) + b"more", coding)


def test_members_are_counted() -> None:
    """A body of ever more members without content is refused before it holds up others."""
    empty = gzip.compress(b"")
    assert inflate(empty * MOST_MEMBERS, "gzip") == b""
    with pytest.raises(MalformedBody, match=f"more than {MOST_MEMBERS} members"):
        inflate(empty * 2 * MOST_MEMBERS, "gzip")


@pytest.mark.parametrize(("coding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_bomb_is_inflated_step_by_step(coding: str, wbits: int) -> None:
    """Of a body that inflates to a thousand times its size, whoever stops early has paid for no more than a few steps."""
    body = deflated(bytes(64 * 2**20), wbits, 9)
    tracemalloc.start()
    try:
        steps = list(islice(inflated(body, coding), 4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(step) for step in steps] == [STEP] * 4
    assert peak < 8 * STEP


@pytest.mark.parametrize(("coding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, *range(STEP + 20, STEP + 100, 10)])
def test_what_is_left_at_the_end_is_found(coding: str, wbits: int, size: int) -> None:
    """Content that the last bytes make, and that does not fit into a step any more, is not lost."""
    assert inflate(deflated(bytes(size), wbits, 9), coding) == bytes(size)


def test_the_ratio_is_the_highest() -> None:
    """No body inflates to more than the ratio that its work is judged by."""
    size = 16 * 2**20
    assert size / MOST_RATIO < len(deflated(bytes(size), -15, 9)) < size / MOST_RATIO * 1.01
