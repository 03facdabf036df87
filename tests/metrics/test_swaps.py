"""Swaps are consistent where blocks hold their factor alone, and show what a host or a leak does to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.metrics import Probes, Swapped, draw_donors, join, send_swap, split, swap, swap_consistency
from tests.inference.flows import SIZE, plan
from tests.metrics.worlds import TEST_BLOCKS, TEST_LABELS, TRAIN_BLOCKS, TRAIN_LABELS

FLOW = CompiledFlow(plan())
LAYOUT = {"residual": SIZE - 3, "color": 3}
PROBES = Probes(TRAIN_BLOCKS, TRAIN_LABELS)
DONORS = draw_donors(TEST_LABELS["digit"], seed=0)


@dataclass(frozen=True)
class ColorBlindHost:
    """A host that loses the last three entries of its latents."""

    def decode(self, latents: Any) -> Any:
        """Leave the last three out."""
        return latents[:, :-3]

    def encode(self, inputs: Any) -> Any:
        """Put zeros there."""
        return np.concatenate([inputs, np.zeros((len(inputs), 3))], axis=1)


class Identity:
    """A flow that changes nothing."""

    def encode(self, latents: Any) -> tuple[Any, Any]:
        """Codes are the latents."""
        return latents, np.zeros(len(latents))

    def invert(self, codes: Any) -> Any:
        """Latents are the codes."""
        return codes


@pytest.mark.parametrize("factor", ["digit", "color", "angle"])
def test_clean_blocks_swap_one_factor(factor: str) -> None:
    """After the swap the donor's factor is read, and the row's own others, as before and in truth."""
    swapped = Swapped(factor, DONORS, TEST_BLOCKS, swap(TEST_BLOCKS, factor, DONORS))
    found = swap_consistency(PROBES, swapped, TEST_LABELS)
    assert found.factor == factor
    assert found.as_read.follows == 1
    assert set(found.as_read.keeps.values()) == {1.0}
    assert found.as_labelled.follows > 0.95
    assert found.as_labelled.keeps.keys() == {"digit", "color", "angle"} - {factor}
    assert min(found.as_labelled.keeps.values()) > 0.95


def test_nothing_swapped_follows_nobody() -> None:
    """Blocks that stay as they were keep everything and follow no donor: their digit is never the donor's."""
    found = swap_consistency(PROBES, Swapped("digit", DONORS, TEST_BLOCKS, TEST_BLOCKS), TEST_LABELS)
    assert found.as_labelled.follows == 0
    assert found.as_read.keeps == {"color": 1.0, "angle": 1.0}


def test_another_digit_read_before_is_followed_as_read() -> None:
    """What a probe reads wrongly before and after the swap is consistent, though not true."""
    wrong = TEST_BLOCKS | {"digit": TEST_BLOCKS["digit"][::-1]}
    found = swap_consistency(PROBES, Swapped("color", DONORS, wrong, swap(wrong, "color", DONORS)), TEST_LABELS)
    assert found.as_read.keeps["digit"] == 1
    assert found.as_labelled.keeps["digit"] < 0.5


def test_a_host_that_loses_a_factor_does_not_follow() -> None:
    """Sent through a host that never shows the color, a swapped color does not arrive: R² is 0, the rest is kept."""
    blocks = {name: TEST_BLOCKS[name] for name in ("residual", "digit", "color", "angle")}
    probes = Probes(blocks, TEST_LABELS)
    lossy, exact = (send_swap(Identity(), blocks, "color", DONORS, host=host) for host in (LossyHost(), None))
    assert swap_consistency(probes, lossy, TEST_LABELS).as_read.follows == 0
    assert swap_consistency(probes, lossy, TEST_LABELS).as_read.keeps["digit"] == 1
    assert swap_consistency(probes, exact, TEST_LABELS).as_read.follows == 1


@dataclass(frozen=True)
class LossyHost:
    """A host that shows everything but the color, which stands before the angle."""

    def decode(self, latents: Any) -> Any:
        """Set the color to grey."""
        return np.concatenate([latents[:, :5], np.full((len(latents), 3), 0.5), latents[:, 8:]], axis=1)

    def encode(self, inputs: Any) -> Any:
        """Take everything as it is."""
        return inputs


def test_a_swap_goes_through_the_flow() -> None:
    """Latents are the inverse of the swapped codes, and encode to them again; without a host there are no outputs."""
    latents = np.random.default_rng(0).normal(size=(5, SIZE))
    blocks = split(FLOW.encode(latents)[0], LAYOUT)
    donors = np.array([1, 2, 3, 4, 0])
    found = send_swap(FLOW, blocks, "color", donors)
    expected = swap(blocks, "color", donors)
    assert found.latents is not None
    np.testing.assert_allclose(found.latents, FLOW.invert(join(expected)))
    np.testing.assert_allclose(join(found.after), join(expected), atol=1e-9)
    assert (found.factor, found.before, found.outputs) == ("color", blocks, None)
    assert found.donors is donors


def test_a_swap_goes_through_the_host() -> None:
    """The host decodes what the flow inverted, and the flow encodes what the host encoded again."""
    host, latents = ColorBlindHost(), np.random.default_rng(0).normal(size=(4, SIZE))
    blocks = split(FLOW.encode(latents)[0], LAYOUT)
    found = send_swap(FLOW, blocks, "color", np.array([3, 2, 1, 0]), host=host)
    np.testing.assert_array_equal(found.outputs, host.decode(found.latents))
    np.testing.assert_array_equal(join(found.after), FLOW.encode(host.encode(found.outputs))[0])


@pytest.mark.parametrize("labels", [TEST_LABELS["digit"], TEST_LABELS["digit"].astype(str), TEST_LABELS["color"]])
def test_donors_differ(labels: np.ndarray) -> None:
    """A donor is never of the same class, nor of the same numbers, and a seed gives the same donors again."""
    donors = draw_donors(labels, seed=3)
    assert (labels[donors] != labels).reshape(len(labels), -1).any(axis=1).all()
    np.testing.assert_array_equal(donors, draw_donors(labels, seed=3))
    assert (donors != draw_donors(labels, seed=4)).any()


def test_donors_need_labels_that_differ() -> None:
    """Where all are alike nobody can be a donor: refused, rather than searched for ever."""
    with pytest.raises(ValueError, match=r"labels must vary in every column"):
        draw_donors([1, 1, 1], seed=0)


def test_the_probes_must_know_the_factor() -> None:
    """What nobody reads can't be judged."""
    with pytest.raises(ValueError, match=r"one of the probes'. Received: factor='residual', factors="):
        swap_consistency(PROBES, Swapped("residual", DONORS, TEST_BLOCKS, TEST_BLOCKS), TEST_LABELS)


def test_rows_must_be_the_same_before_and_after() -> None:
    """Fewer rows after the swap than before are refused."""
    fewer = {name: block[:10] for name, block in TEST_BLOCKS.items()}
    with pytest.raises(ValueError, match=r"labels\['digit'\] must have the shape \[10\]"):
        swap_consistency(PROBES, Swapped("color", DONORS, TEST_BLOCKS, fewer), TEST_LABELS)
