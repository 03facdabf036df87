"""What reading a plan refuses in a file that anybody may have written: numbers, sizes and texts that would do harm later."""

import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gyoza.inference import PlanError, load_checked_plan, read_plan, write_plan
from gyoza.inference.files import reading
from gyoza.inference.files.reading import read_safetensors
from gyoza.inference.plan import Origin
from tests.inference.flows import SIZE, plan, steps

KNOWN = [step for name, step in steps().items() if "opaque" not in name]
HUGE = 10**400
Parts = dict[str, Any]
Change = Callable[[Parts], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a float32 plan of every step that can be in one."""
    write_plan(
        tmp_path / "plan.safetensors", replace(plan(*KNOWN, dtype=np.float32), origin=Origin({"a": 6}, 1, 1, {}))
    )
    return tmp_path / "plan.safetensors"


def changed(path: Path, change: Change, **arrays: Any) -> Path:
    """Change a plan's described parts, or its arrays, and return the file."""
    metadata, found = read_safetensors(path.read_bytes())
    parts = json.loads(metadata["plan"])
    change(parts)
    save_file({**found, **arrays}, path, {"format": metadata["format"], "plan": json.dumps(parts)})
    return path


def of_kind(parts: Parts, kind: str) -> Parts:
    """The description of the first step of a kind, or of the first coupling with a law of it."""
    found: Parts = next(step for step in parts["steps"] if kind in {step["type"], step.get("law", {}).get("type")})
    return found


def shaped(size: int) -> Change:
    """Claim a size of latents and codes."""
    return lambda parts: parts.update(latent_shape=[size], code_shape=[size])


def without_steps(size: int) -> Change:
    """Claim a size where no step says otherwise."""
    return lambda parts: parts.update(latent_shape=[size], code_shape=[size], steps=[])


HARMFUL: dict[str, tuple[Change, str]] = {
    "a claimed size": (without_steps(10**15), "at most 262,144 entries"),
    "a claimed size beyond 64 bits": (without_steps(10**18), "shapes must hold 1 to 16 integers"),
    "a claimed size with steps": (shaped(2**18), r"step 0 \(Gather\): indices"),
    "a product of sizes": (
        lambda parts: parts.update(latent_shape=[2**50] * 16, code_shape=[2**50] * 16, steps=[]),
        "at most 262,144 entries",
    ),
    "many axes": (lambda parts: parts.update(latent_shape=[1] * 16 + [6]), "shapes must hold 1 to 16 integers"),
    "a logdet": (
        lambda parts: of_kind(parts, "Linear").update(logdet=HUGE),
        "logdet must be a finite number in float32",
    ),
    "a logdet in float32": (
        lambda parts: of_kind(parts, "Linear").update(logdet=1e39),
        "logdet must be a finite number",
    ),
    "a bound": (
        lambda parts: of_kind(parts, "BoundedAffine")["law"].update(bound=HUGE),
        "bound must be a finite number",
    ),
    "a bound in float32": (
        lambda parts: of_kind(parts, "BoundedAffine")["law"].update(bound=1e300),
        "bound must be a finite number above 0 in float32",
    ),
    "a bound that is 0 in float32": (
        lambda parts: of_kind(parts, "BoundedAffine")["law"].update(bound=1e-300),
        "bound must be a finite number above 0 in float32",
    ),
    "bins": (lambda parts: of_kind(parts, "Spline")["law"].update(bins=HUGE), "bins must be an integer"),
    "a spline's bound": (lambda parts: of_kind(parts, "Spline")["law"].update(bound=1e-60), "numbers must be in range"),
    "a spline's slope": (lambda parts: of_kind(parts, "Spline")["law"].update(smallest_slope=1), "must be in range"),
    "a check's error": (
        lambda parts: parts.update(checks=[{"type": "Check", "name": "a", "error": HUGE, "limit": 1}]),
        "an error and a limit that are finite numbers",
    ),
    "a check's name": (
        lambda parts: parts.update(checks=[{"type": "Check", "name": "a\ud800", "error": 0, "limit": 1}]),
        "checks must each have a name",
    ),
    "a check's long name": (
        lambda parts: parts.update(checks=[{"type": "Check", "name": 201 * "a", "error": 0, "limit": 1}]),
        "checks must each have a name",
    ),
    "a version": (
        lambda parts: parts["origin"].update(libraries={"pairs": [["gyoza", "\ud800"]]}),
        "printable texts of at most 200 characters",
    ),
    "a library's name": (
        lambda parts: parts["origin"].update(libraries={"pairs": [["\ud800", "1"]]}),
        "printable texts of at most 200 characters",
    ),
    "parameters": (lambda parts: parts["origin"].update(parameters=10**60), "layers and parameters must be integers"),
    "layers": (lambda parts: parts["origin"].update(layers=-1), "layers and parameters must be integers"),
    "a factor's size": (lambda parts: parts["origin"].update(factors={"pairs": [["a", HUGE]]}), "the size of factor a"),
    "a name of a part": (lambda parts: parts.update({"\ud800": 1}), r"its parts must be .*\\ud800"),
    "a name of an array": (lambda parts: of_kind(parts, "Gather")["indices"].update(array="\ud800"), "it names"),
    "a field's name": (lambda parts: of_kind(parts, "Gather").update({"\ud800": 1}), r"unexpected keyword .*\\ud800"),
    "a digest": (lambda parts: parts.update(flow_digest="\ud800"), "flow_digest must be a SHA-256"),
    "a short digest": (lambda parts: parts.update(flow_digest="0" * 63), "flow_digest must be a SHA-256"),
    "a digest with a line's end": (lambda parts: parts.update(flow_digest="0" * 64 + "\n"), "must be a SHA-256"),
    "a big-endian dtype": (lambda parts: parts.update(dtype=">f4"), "its dtype must be one of float32, float64"),
    "another word for a dtype": (lambda parts: parts.update(dtype="f8"), "its dtype must be one of float32, float64"),
    "a dtype that is no text": (lambda parts: parts.update(dtype=["float32"]), "its dtype must be one of"),
    "a network of no layers": (
        lambda parts: of_kind(parts, "Coupling")["network"].update(layers=[]),
        "one dense layer or more",
    ),
    "a layer that is none": (
        lambda parts: of_kind(parts, "Coupling")["network"].update(layers=[{"type": "Additive"}]),
        "a layer must be Dense",
    ),
    "a bias that is none": (
        lambda parts: of_kind(parts, "Coupling")["network"]["layers"][0].update(bias=3),
        "a layer must be Dense",
    ),
    "a matrix that is none": (lambda parts: of_kind(parts, "Rotation").update(matrix=3), "matrix must be square"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_would_do_harm_is_refused(path: Path, name: str) -> None:
    """Huge sizes and integers, other byte orders and texts that can't be sent are refused, in texts that can be sent."""
    change, text = HARMFUL[name]
    with pytest.raises(PlanError, match=text) as caught:
        read_plan(changed(path, change))
    assert str(caught.value).encode()
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    ("array", "value", "text"),
    [
        ("steps.1.scale", np.full(SIZE, 1e-60), "scale must nowhere be 0 in float32"),
        ("steps.1.scale", np.full(SIZE, 1e60), "scale must be finite in float32"),
        ("steps.2.matrix", np.full((SIZE, SIZE), 1e200), "matrix must be finite in float32"),
        ("steps.5.matrix", np.full((SIZE, SIZE), 1e300), "matrix must be finite in float32"),
        ("steps.3.network.layers.0.bias", np.full(5, 1e300), "bias must be finite in float32"),
        ("steps.3.network.layers.0.bias", np.zeros((5, 1)), "bias must be an array"),
    ],
)
def test_numbers_must_do_in_the_plan_s_dtype(path: Path, array: str, value: Any, text: str) -> None:
    """What is finite in the file's float64 but not in the plan's float32 is refused, and nothing is warned of."""
    with pytest.raises(PlanError, match=text):
        read_plan(changed(path, lambda parts: None, **{array: value}))


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("steps.5.matrix", np.zeros((SIZE, SIZE))),
        ("steps.5.matrix", np.full((SIZE, SIZE), 1e38)),
        ("steps.1.scale", np.full(SIZE, 1e38)),
        ("steps.1.scale", np.full(SIZE, 1e-44)),
        ("steps.1.location", np.full(SIZE, -3e38)),
        ("steps.3.network.layers.1.bias", np.full(3, 3e38)),
    ],
)
def test_extreme_numbers_fail_the_checks_without_a_warning(path: Path, array: str, value: Any) -> None:
    """A plan whose numbers leave no room fails its checks; none of them warns or raises."""
    loaded, _ = load_checked_plan(changed(path, lambda parts: None, **{array: value}))
    assert not all(check.passed for check in loaded.checks)


def test_logdets_that_add_up_beyond_the_dtype_fail_the_checks(path: Path) -> None:
    """The sum of the steps' logdets may be infinite where none of them is."""
    loaded, _ = load_checked_plan(changed(path, lambda parts: of_kind(parts, "Linear").update(logdet=3e38)))
    assert not all(check.passed for check in loaded.checks)


def test_an_orthogonal_matrix_in_float64_may_not_overflow(tmp_path: Path) -> None:
    """A matrix whose squares overflow is off by no finite number, and refused."""
    write_plan(tmp_path / "plan", plan(*KNOWN))
    with pytest.raises(PlanError, match="matrix must be orthogonal"):
        read_plan(changed(tmp_path / "plan", lambda parts: None, **{"steps.2.matrix": np.full((SIZE, SIZE), 1e200)}))


def test_running_out_of_memory_is_a_refusal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for which there is no memory is refused as a plan that can't be run."""

    def exhausted(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(reading, "read_safetensors", exhausted)
    with pytest.raises(PlanError, match="must hold a plan that can be run: MemoryError"):
        read_plan(path)


@cache
def base(folder: Path) -> tuple[dict[str, str], dict[str, Any], Parts]:
    """The metadata, arrays and described parts of a plan that passes all checks."""
    path = folder / "base.safetensors"
    write_plan(path, replace(plan(*KNOWN, dtype=np.float32), origin=Origin({"a": 2, "b": 4}, 1, 1, {"gyoza": "1"})))
    metadata, arrays = read_safetensors(path.read_bytes())
    return dict(metadata), arrays, json.loads(metadata["plan"])


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all parts of a nest."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*before, key)
        yield from places(item, (*before, key))


VALUES = st.one_of(
    st.sampled_from(
        [
            {"type": "Gather"},
            {"type": "Gather", "indices": {"array": "steps.0.indices"}},
            {"type": "Additive"},
            {"type": "BoundedAffine", "bound": 1.0},
            {"type": "Spline", "bins": 2, "bound": 1e-30, "smallest_share": 0.1, "smallest_slope": 0.1},
            {"array": "steps.0.indices"},
            {"array": "steps.1.scale"},
            {"pairs": []},
            {"pairs": [["a", 6]]},
            {"pairs": 3},
            [0],
            ["float32"],
            [[[]]],
            sys.maxsize,
            HUGE,
            -HUGE,
            "float64",
            "\ud800",
        ]
    ),
    st.none(),
    st.booleans(),
    st.integers(-2, 8),
    st.floats(),
    st.text(max_size=3),
)


@given(st.data())
@settings(max_examples=300)
def test_a_plan_with_another_part_is_refused_or_proven(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands in a part's place, reading refuses it as such, or the checks tell; what passes them is invertible."""
    folder = tmp_path_factory.getbasetemp()
    metadata, arrays, parts = base(folder)
    *way, last = data.draw(st.sampled_from(list(places(parts))))
    mutant = deepcopy(parts)
    part: Any = mutant
    for key in way:
        part = part[key]
    part[last] = data.draw(VALUES)
    save_file(arrays, folder / "mutant.safetensors", {**metadata, "plan": json.dumps(mutant)})
    try:
        loaded, _ = load_checked_plan(folder / "mutant.safetensors")
    except PlanError:
        return
    if all(check.passed for check in loaded.checks):
        flow = loaded.flow
        latents = np.random.RandomState(0).normal(size=(3, *flow.latent_shape))
        np.testing.assert_allclose(flow.invert(flow.encode(latents)[0]), latents, atol=1e-3)
