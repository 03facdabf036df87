"""Endpoints of the contract, against a small application that answers as it says (see ``contract.py``).

To be pointed at the service once that has them.
"""

from typing import Any

import numpy as np
import pytest

from gyoza.client import (
    Axis,
    Client,
    Edit,
    Edited,
    Inverted,
    Sampled,
    Traversed,
    blend,
    edits,
    sample,
    scale,
    shift,
    swap,
)
from gyoza.client.formats import FormatName
from tests.app.worlds import LATENTS, LOCATION, SCALE, rows
from tests.client.contract import Bridge, contract_app, drawn

FORMATS: tuple[FormatName, ...] = ("safetensors", "json", "lists")
OWN = SCALE * (np.array(LATENTS) - LOCATION)
DONORS = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
THEIRS = SCALE * (DONORS - LOCATION)
COLOR = slice(3, 4)


def assert_doubled(found: Edited | Inverted | Sampled | Traversed) -> None:
    """Check that outputs came, and that they are the decoder's."""
    assert found.outputs is not None
    np.testing.assert_allclose(found.outputs, 2 * found.latents)


@pytest.fixture(params=FORMATS)
def client(request: pytest.FixtureRequest) -> Client:
    """A client for each format."""
    return Client("http://test", transport=Bridge(contract_app()), format=request.param)


@pytest.mark.parametrize(
    ("edit", "color"),
    [
        (edits.set("color", [[0.5], [1.5]]), np.array([[0.5], [1.5]])),
        (edits.set("color", [[0.5]]), np.array([[0.5], [0.5]])),
        (shift("color", [[0.25]]), OWN[:, COLOR] + 0.25),
        (scale("color", 2), OWN[:, COLOR] * 2),
        (swap("color", DONORS), THEIRS[:, COLOR]),
        (blend("color", DONORS, 0.25), 0.75 * OWN[:, COLOR] + 0.25 * THEIRS[:, COLOR]),
        (sample("color", 3), drawn(3, 2)[:, COLOR]),
    ],
)
def test_an_edit_changes_its_factor(client: Client, edit: Edit, color: Any) -> None:
    """Of the code, the factor becomes what the edit says, and nothing else changes; latents and likelihoods follow."""
    found = client.edit(LATENTS, edit)
    expected = OWN.copy()
    expected[:, COLOR] = color
    np.testing.assert_allclose(found.codes, expected, rtol=1e-5)
    np.testing.assert_allclose(found.latents, expected / SCALE + LOCATION, rtol=1e-5, atol=1e-6)
    difference = found.log_likelihood.after - found.log_likelihood.before
    np.testing.assert_allclose(difference, ((OWN**2).sum(1) - (expected**2).sum(1)) / 2, rtol=1e-3, atol=1e-4)
    assert found.round_trip_error.shape == (2,)
    assert found.outputs is None
    assert (found.model, found.version) == ("tiny", "3")


def test_edits_apply_in_order(client: Client) -> None:
    """What comes later works on what came before; outputs are decoded where that is asked for."""
    found = client.edit(LATENTS, edits.set("color", [[1.0]]), scale("color", 3), shift("color", [[-1.0]]), decode=True)
    np.testing.assert_allclose(found.codes[:, COLOR], [[2.0], [2.0]])
    assert_doubled(found)


def test_edits_of_many_rows_are_cut_with_them() -> None:
    """Donors and values go with the rows that they belong to, and a draw is never cut."""
    latents, donors, values = rows(10), rows(10, seed=1), np.arange(10.0)[:, None]
    whole = Client("http://test", transport=Bridge(contract_app()))
    parts = Client("http://test", transport=Bridge(contract_app()), rows_per_call=3)
    given = (swap("color", donors), edits.set("digit", values), blend("residual", donors, 0.5))
    for some in (given, (*given, sample("color", 5))):
        one, other = whole.edit(latents, *some), parts.edit(latents, *some)
        np.testing.assert_array_equal(one.latents, other.latents)
        np.testing.assert_array_equal(one.log_likelihood.after, other.log_likelihood.after)


def test_rows_of_edits_must_fit(client: Client) -> None:
    """An edit with more rows than there are is refused here, by its path."""
    with pytest.raises(ValueError, match=r"edits\.0\.swap must have as many rows as latents, 2, or one"):
        client.edit(LATENTS, swap("color", rows(3)))


def test_a_traversal_has_its_positions(client: Client) -> None:
    """Two axes give all pairs of their values in C order, and the latents there."""
    axes = (Axis("residual", 1, -1.0, 1.0, 3), Axis("color", 0, 0.1, 0.2, 2))
    found = client.traverse(LATENTS[:1], *axes, decode=True)
    expected = [[a, b] for a in (-1.0, 0.0, 1.0) for b in (0.1, 0.2)]
    np.testing.assert_array_equal(found.positions, expected)
    codes = SCALE * (found.latents - LOCATION)
    np.testing.assert_allclose(codes[:, [1, 3]], expected, atol=1e-5)
    assert_doubled(found)


def test_samples_are_drawn_again_by_their_seed(client: Client) -> None:
    """The seed that is returned draws the same codes; factors that are given are held."""
    first = client.sample(3, factors={"color": [[0.5]]})
    again = client.sample(3, seed=first.seed, decode=True)
    np.testing.assert_array_equal(first.codes[:, :3], again.codes[:, :3])
    np.testing.assert_array_equal(first.codes[:, COLOR], np.full((3, 1), 0.5))
    assert_doubled(again)
    assert first.outputs is None
    assert first.log_likelihood.shape == (3,)


def test_inputs_become_latents_and_latents_outputs(client: Client) -> None:
    """The model's encoder and decoder are asked as the flow is."""
    latents = client.latents(np.ones((2, 6), np.uint8)).latents
    np.testing.assert_array_equal(latents, np.full((2, 6), 0.5))
    np.testing.assert_array_equal(client.decode(latents).outputs, np.ones((2, 6)))
    inverted = client.invert(np.zeros((2, 4), np.float32), decode=True)
    assert_doubled(inverted)
    assert inverted.round_trip_error is None


def test_examples_ship_with_the_model(client: Client) -> None:
    """The example latents come as arrays, with what they are the latents of where that is there."""
    found = client.examples()
    np.testing.assert_allclose(found.latents, LATENTS)
    if client._api.format == "safetensors":
        assert found.inputs is not None
        np.testing.assert_allclose(found.inputs, 2 * np.array(LATENTS))
    else:
        assert found.inputs is None


def test_a_factor_is_swapped_in_four_lines() -> None:
    """What the README shows gives one row with the other's color, and with all else its own."""
    client = Client("http://test", transport=Bridge(contract_app()))
    latents = client.examples().latents
    mixed = client.edit(latents[:1], swap("color", latents[1:2])).latents
    np.testing.assert_allclose(mixed, [[*LATENTS[0][:3], LATENTS[1][3]]])
