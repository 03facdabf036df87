"""What writing a plan promises: whatever is written can be read again, and nothing else is."""

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.factors import FACTOR_NAME, RESERVED_NAMES
from gyoza.inference import Plan, PlanError, Proof, load_checked_plan, read_plan, write_plan
from gyoza.inference.checks import Check
from gyoza.inference.files.validation import LARGEST_SIZE
from gyoza.inference.plan import Affine, BoundedAffine, Dense, Gather, Origin
from tests.inference.flows import SIZE, plan, steps

GATHER = Gather(np.arange(SIZE))
ODD_NAMES = ("type", "array", "pairs", "steps", "origin", "Gather", "None", "0", "a-_", "residual")
LEGAL = st.from_regex(FACTOR_NAME, fullmatch=True).filter(lambda name: name not in RESERVED_NAMES)


def written(path: Path, factors: Mapping[str, int], libraries: Mapping[str, str]) -> Origin | None:
    """What comes back of an origin."""
    write_plan(path, replace(plan(GATHER), origin=Origin(factors, 1, 2, libraries)))
    return read_plan(path).plan.origin


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_factor_may_be_called_by_any_legal_name(tmp_path: Path, name: str) -> None:
    """Words of the format itself are no exception, alone, among others, and for libraries."""
    for factors in ({name: SIZE}, {"first": 2, name: 4}, {name: 2, "last": 4}):
        origin = written(tmp_path / "plan", factors, {name: "1"})
        assert origin is not None
        assert origin.factors is not None
        assert list(origin.factors.items()) == list(factors.items())
        assert origin.libraries == {name: "1"}


@given(factors=st.dictionaries(LEGAL, st.integers(1, 2**53 - 1), min_size=1, max_size=5))
def test_factors_come_back_in_their_order(tmp_path_factory: pytest.TempPathFactory, factors: dict[str, int]) -> None:
    """Names, sizes and order are what they were, whatever the names."""
    origin = written(tmp_path_factory.mktemp("plans") / "plan", factors, {})
    assert origin is not None
    assert list((origin.factors or {}).items()) == list(factors.items())


def test_threads_may_write_to_one_path(tmp_path: Path) -> None:
    """Each write is whole, no reader ever sees half a file, and no part of one is left."""
    path, together = tmp_path / "plan.safetensors", Barrier(4)
    plans = [plan(Affine(np.full(SIZE, float(number)), np.zeros(SIZE))) for number in range(1, 5)]

    def write(one: Plan) -> None:
        together.wait()
        for _ in range(25):
            write_plan(path, one)
            read_plan(path)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, plans)) == [None] * 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_can_t_take_its_place_leaves_nothing(tmp_path: Path) -> None:
    """Where a folder stands in the way the write fails, and its part is removed."""
    (tmp_path / "plan" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="plan"):
        write_plan(tmp_path / "plan", plan(GATHER))
    assert list(tmp_path.iterdir()) == [tmp_path / "plan"]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    """A plan has the rights that any new file gets, so that a service of another user can read it."""
    write_plan(tmp_path / "plan", plan(GATHER))
    (tmp_path / "other").touch()
    assert os.stat(tmp_path / "plan").st_mode == os.stat(tmp_path / "other").st_mode  # noqa: PTH116 - both alike.


def scalar(kind: Any, value: float) -> Any:
    """One of NumPy's numbers."""
    return kind(value)


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    """Laws, shapes, counts and checks may hold NumPy's scalars."""
    coupling: Any = steps()["affine coupling"]
    one = replace(
        plan(replace(coupling, law=BoundedAffine(scalar(np.float32, 1.5)))), latent_shape=(scalar(np.int64, 2), 3)
    )
    one = replace(one, origin=Origin({"a": scalar(np.int32, SIZE)}, scalar(np.int64, 3), scalar(np.int64, 4), {}))
    write_plan(tmp_path / "plan", one, Proof((Check("a", scalar(np.float32, 0.5), scalar(np.float64, 1)),)))
    file = read_plan(tmp_path / "plan")
    (step,) = file.plan.steps
    assert step.law == BoundedAffine(1.5)  # type: ignore[union-attr]
    assert file.plan.latent_shape == (2, 3)
    assert file.plan.origin == Origin({"a": SIZE}, 3, 4, {})
    assert file.proof.checks == (Check("a", 0.5, 1.0),)


def test_a_linear_step_may_shift(tmp_path: Path) -> None:
    """A shift and what undoes it come back with the matrix."""
    linear: Any = steps()["linear"]
    shift = np.arange(float(SIZE))
    write_plan(tmp_path / "plan", plan(replace(linear, shift=shift, unshift=-shift @ linear.inverse)))
    loaded, _ = load_checked_plan(tmp_path / "plan")
    assert all(check.passed for check in loaded.checks)
    np.testing.assert_array_equal(loaded.flow.plan.steps[0].shift, shift)  # type: ignore[union-attr]


def test_lists_are_written_as_tuples(tmp_path: Path) -> None:
    """Steps may come in a list."""
    write_plan(tmp_path / "plan", replace(plan(GATHER), steps=[GATHER]))  # type: ignore[arg-type]
    assert len(read_plan(tmp_path / "plan").plan.steps) == 1


class Denser(Dense):
    """A class that no file knows."""


def coupled(**parts: Any) -> Plan:
    """A plan of one coupling with other parts."""
    step: Any = steps()["additive coupling"]
    return plan(replace(step, **parts))


UNREADABLE: dict[str, tuple[Plan, Proof | None, str]] = {
    "an error that is infinite": (
        plan(GATHER),
        Proof((Check("a", np.inf, 1.0),)),
        "finite numbers. Received: Check.*inf",
    ),
    "an error that is no number": (
        plan(GATHER),
        Proof((Check("a", np.nan, 1.0),)),
        "finite numbers. Received: Check.*nan",
    ),
    "a digest": (plan(GATHER), Proof((), "0" * 63), "flow_digest must be a SHA-256"),
    "a scale of 0": (plan(Affine(np.zeros(SIZE), np.zeros(SIZE))), None, "scale must nowhere be 0"),
    "a scale of 0 in float32": (
        plan(Affine(np.full(SIZE, 1e-60), np.zeros(SIZE)), dtype=np.float32),
        None,
        "scale must nowhere be 0 in float32",
    ),
    "NaN": (plan(Affine(np.ones(SIZE), np.full(SIZE, np.nan))), None, "location must be finite"),
    "a dtype": (plan(GATHER, dtype=np.float16), None, "its dtype must be one of"),
    "a class of one's own": (
        coupled(network=replace(steps()["additive coupling"].network, layers=(Denser(np.ones((3, 3)), np.ones(3)),))),  # type: ignore[union-attr]
        None,
        "it names 'Denser', which is not there",
    ),
    "no origin": (replace(plan(GATHER), origin=3), None, "its origin must be an Origin"),  # type: ignore[arg-type]
    "factors that are none": (
        replace(plan(GATHER), origin=Origin(["a"], 1, 1, {})),  # type: ignore[arg-type]
        None,
        "factors must map names to sizes",
    ),
    "a library": (
        replace(plan(GATHER), origin=Origin(None, 1, 1, {"gyoza": "\ud800"})),
        None,
        "libraries must map names to versions, printable",
    ),
    "a latent that is too large": (
        Plan((), (LARGEST_SIZE + 1,), (LARGEST_SIZE + 1,), np.dtype("float32")),
        None,
        "at most 262,144 entries. Received: 262,145",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, name: str) -> None:
    """The error says what is wrong with the plan or its proof, and no file appears."""
    one, proof, text = UNREADABLE[name]
    with pytest.raises(ValueError, match=f"(?s)A plan must be one that can be read again: .*{text}") as caught:
        write_plan(tmp_path / "plan", one, proof)
    assert not isinstance(caught.value, PlanError)
    assert not list(tmp_path.iterdir())


def test_the_largest_latent_can_be_written_and_loaded(tmp_path: Path) -> None:
    """A latent of as many entries as a plan allows passes its checks."""
    write_plan(tmp_path / "plan", Plan((), (512, 512), (LARGEST_SIZE,), np.dtype("float32")))
    assert all(check.passed for check in load_checked_plan(tmp_path / "plan")[0].checks)


def test_a_large_linear_layer_s_refusal_names_the_limit(tmp_path: Path) -> None:
    """Whoever saves a flow with a linear layer that is too large for a matrix is told how large one may be."""
    with pytest.raises(ValueError, match=re.escape("linear layers of up to 1,024 entries along their axes")):
        write_plan(tmp_path / "plan", plan(steps()["opaque"]))
