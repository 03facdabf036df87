"""How long it takes to parse latents from JSON to an array, by the service and by what else there is.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/json_parsing.py``. Parsers that are not installed
(msgspec, jiter, ssrjson, pysimdjson) are left out.
"""

import array
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import orjson

from app.codecs.json import decode, decode_surely
from app.codecs.nests import JsonReader

ROWS = (1, 64, 1024)
SIZES = (64, 512)
SECONDS = 1.0
"""How long each cell is measured."""
FEWEST = 5
DTYPE = np.dtype("float32")
REFERENCE = "orjson, np.asarray"
Way: TypeAlias = Callable[[bytes], Any]


def body_of(rows: int, size: int) -> bytes:
    """Write latents as a Python client does: ``tolist`` makes doubles of float32 values, with all their digits."""
    latents = np.random.default_rng(0).standard_normal((rows, size), DTYPE)
    return json.dumps({"latents": latents.tolist()}).encode()


def by_service(parse: Callable[[bytes], Mapping[str, object]]) -> Way:
    """Parse as the service does, all refusals included."""
    return lambda body: JsonReader(DTYPE)(parse(body)["latents"])


def by_lists(loads: Callable[[bytes], Any], convert: Callable[[Any], Any]) -> Way:
    """Parse to lists of Python floats, then make an array of them; nothing is checked."""
    return lambda body: convert(loads(body)["latents"])


def by_fromiter(rows: list[list[float]]) -> Any:
    """Make an array of lists by NumPy's iterator."""
    count = len(rows) * len(rows[0])
    return np.fromiter(chain.from_iterable(rows), np.float64, count).reshape(len(rows), -1).astype(DTYPE)


def by_array(rows: list[list[float]]) -> Any:
    """Make an array of lists by the standard library's."""
    return np.frombuffer(array.array("d", list(chain.from_iterable(rows)))).reshape(len(rows), -1).astype(DTYPE)


def as_array(rows: list[list[float]]) -> Any:
    """Make an array of lists by NumPy."""
    return np.asarray(rows, DTYPE)


def ways() -> Iterator[tuple[str, Way]]:
    """Yield every way that can be measured here."""
    yield REFERENCE, by_lists(orjson.loads, as_array)
    yield "orjson, np.fromiter", by_lists(orjson.loads, by_fromiter)
    yield "orjson, array.array", by_lists(orjson.loads, by_array)
    for name, attribute in (("ssrjson", "loads"), ("jiter", "from_json")):
        if find_spec(name):
            yield f"{name}, np.asarray", by_lists(getattr(import_module(name), attribute), as_array)
    if find_spec("msgspec"):
        msgspec = import_module("msgspec")
        yield (
            "msgspec, typed, np.asarray",
            by_lists(msgspec.json.Decoder(dict[str, list[list[float]]]).decode, as_array),
        )
    if find_spec("simdjson"):
        yield "pysimdjson, as_buffer, unchecked", by_buffer(import_module("simdjson").Parser)
    yield "the service, the sure way", by_service(decode_surely)
    yield "the service", by_service(decode)


def by_buffer(parser: Callable[[], Any]) -> Way:
    """Parse to a buffer of doubles, which has no Python object per number; nothing is checked."""

    def parse(body: bytes) -> Any:
        rows = parser().parse(body)["latents"]
        return np.frombuffer(rows.as_buffer(of_type="d")).reshape(len(rows), -1).astype(DTYPE)

    return parse


def measure(way: Way, body: bytes) -> float:
    """Return the median microseconds of a way, after one time that does not count."""
    way(body)
    times: list[float] = []
    end = perf_counter() + SECONDS
    while perf_counter() < end or len(times) < FEWEST:
        start = perf_counter()
        way(body)
        times.append(perf_counter() - start)
    return 1e6 * median(times)


def table(bodies: Sequence[bytes]) -> Iterator[str]:
    """Yield the lines of the table: microseconds, and the ratio to the reference."""
    references = [1.0] * len(bodies)
    for name, way in ways():
        times = [measure(way, body) for body in bodies]
        references = times if name == REFERENCE else references
        cells = (f"{time:,.1f} ({time / least:.2f})" for time, least in zip(times, references, strict=True))
        yield f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table in Markdown."""
    shapes = [(rows, size) for size in SIZES for rows in ROWS]
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}; µs (ratio)\n")
    print("| way | " + " | ".join(f"{rows} × {size}" for rows, size in shapes) + " |")
    print("| --- |" + " ---: |" * len(shapes))
    for line in table([body_of(rows, size) for rows, size in shapes]):
        print(line, flush=True)


if __name__ == "__main__":
    main()
