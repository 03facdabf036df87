"""Whatever befalls an archive, loading it either works or says why not, by the one error."""

import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyoza.loading import LoadError, read_model
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel
from tests.loading.archives import read

Saved = tuple[Path, DisentanglingFlowModel]
MEMORY, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MOST_GROWTH = 2**28
"""Bytes that loading a file of some KB may take for a while: bounds of the library in float32, some times over."""
MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
WITH_A_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=2) | st.dictionaries(st.sampled_from(["class_name", "config"]), parts),
    max_leaves=4,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the changed archive goes."""
    return tmp_path / "flow.keras"


def attempt(path: Path) -> None:
    """Load a file, or be told why that can't be."""
    with suppress(LoadError):
        assert isinstance(read_model(path), FlowModel)


def packed(members: dict[str, bytes]) -> bytes:
    """An archive of such members, whole as an archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def unpacked(path: Path) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@settings(WITH_A_FIXTURE, max_examples=100)
@given(data=st.data())
def test_bits_flip_and_ends_are_lost(data: st.DataObject, saved: Saved, target: Path) -> None:
    """Anywhere in the archive, its directory above all, which nothing guards."""
    content = bytearray(saved[0].read_bytes())
    directory = content.index(b"PK\1\2")
    places = st.integers(0, len(content) - 1) | st.integers(directory, len(content) - 1)
    for place in data.draw(st.lists(places, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    target.write_bytes(content[: data.draw(st.just(len(content)) | places)])
    attempt(target)


@settings(WITH_A_FIXTURE, max_examples=20)
@given(order=st.permutations(MEMBERS), count=st.integers(1, 3))
def test_members_are_swapped_or_missing(order: list[str], count: int, saved: Saved, target: Path) -> None:
    """One member's content in another's place."""
    contents = unpacked(saved[0])
    target.write_bytes(packed({name: contents[other] for name, other in zip(MEMBERS[:count], order, strict=False)}))
    attempt(target)


def spots(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all parts of a config."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*before, key), *spots(item, (*before, key)))]


@settings(WITH_A_FIXTURE, max_examples=60)
@given(data=st.data())
def test_a_part_of_a_config_is_something_else(data: st.DataObject, saved: Saved, target: Path) -> None:
    """Another value of any kind in place of any part, in an archive that is whole."""
    config = read(saved[0])
    *path, last = data.draw(st.sampled_from(spots(config)))
    node: Any = config
    for key in path:
        node = node[key]
    node[last] = data.draw(VALUES)
    target.write_bytes(packed({**unpacked(saved[0]), "config.json": json.dumps(config).encode()}))
    attempt(target)


def test_layers_that_say_they_are_built_and_are_not(saved: Saved, target: Path) -> None:
    """Another value in place of what a layer is built with may leave weights unmade: that is told like all else."""
    places = [place for place in spots(read(saved[0])) if place[-1] == "build_config"]
    assert len(places) > 3
    for *path, last in places:
        config = node = read(saved[0])
        for key in path:
            node = node[key]
        node[last] = "0"
        target.write_bytes(packed({**unpacked(saved[0]), "config.json": json.dumps(config).encode()}))
        attempt(target)


SIZES: Any = st.sampled_from([-(10**8), -1, 0, 1, 4, 10**4, 10**7, 10**8, 10**18, True, False, 4.0, 1e8, "4", None])
SIZED = ("shape", "axes", "units", "reflection_count", "dimensions_per_factor", "input_shape", "batch_shape", "factors")


def largest_memory() -> int:
    """The most bytes that this process held at once since that was last cleared."""
    return next(int(line.split()[1]) * 1024 for line in MEMORY.read_text().splitlines() if line.startswith("VmHWM"))


@pytest.mark.skipif(not CLEAR.exists(), reason="only Linux tells how much memory was held at most, and forgets it")
@settings(WITH_A_FIXTURE, max_examples=40)
@given(data=st.data())
def test_sizes_take_no_memory(data: st.DataObject, saved: Saved, target: Path) -> None:
    """Any sizes in place of those of a config, with what was drawn of them left out: loading takes little, or refuses."""
    config = read(saved[0])
    for place in data.draw(
        st.lists(st.sampled_from([spot for spot in spots(config) if spot[-1] in SIZED]), max_size=3)
    ):
        node: Any = config
        for key in place[:-1]:
            node = node[key]
        node.update({place[-1]: data.draw(SIZES | st.lists(SIZES, max_size=3))})
        node.update({drawn: None for drawn in ("mask", "permutation") if isinstance(node.get(drawn), list)})
    target.write_bytes(packed({**unpacked(saved[0]), "config.json": json.dumps(config).encode()}))
    CLEAR.write_text("5")
    before = largest_memory()
    attempt(target)
    assert largest_memory() - before < MOST_GROWTH
