"""What changes, draws and decodes latents, against a server of a tiny flow with an encoder and a decoder."""

from collections.abc import Iterator
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
from tests.app.servers import serving
from tests.app.worlds import INPUTS, LATENTS, LOCATION, SCALE, decoder, encoder, put, put_halves, rows

FORMATS: tuple[FormatName, ...] = ("safetensors", "json", "lists")
OWN = SCALE * (np.array(LATENTS) - LOCATION)
DONORS = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
THEIRS = SCALE * (DONORS - LOCATION)
COLOR = slice(3, 4)


def assert_decoded(found: Edited | Inverted | Sampled | Traversed) -> None:
    """Check that outputs came, and that they are the decoder's."""
    assert found.outputs is not None
    np.testing.assert_allclose(found.outputs, decoder()(found.latents), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of one model, with what may lie beside its flow."""
    folder = tmp_path_factory.mktemp("models")
    put_halves(put(folder, version="3"))
    with serving(folder) as (_, address, _):
        yield address


@pytest.fixture(params=FORMATS)
def client(server: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client for each format."""
    with Client(server, format=request.param) as found:
        yield found


@pytest.mark.parametrize(
    ("edit", "color"),
    [
        (edits.set("color", [[0.5], [1.5]]), np.array([[0.5], [1.5]])),
        (edits.set("color", [[0.5]]), np.array([[0.5], [0.5]])),
        (shift("color", [[0.25]]), OWN[:, COLOR] + 0.25),
        (scale("color", 2), OWN[:, COLOR] * 2),
        (swap("color", DONORS), THEIRS[:, COLOR]),
        (blend("color", DONORS, 0.25), 0.75 * OWN[:, COLOR] + 0.25 * THEIRS[:, COLOR]),
        (sample("color", 3), np.random.RandomState(3).standard_normal((2, 1))),
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
    assert_decoded(found)


def test_edits_of_many_rows_are_cut_with_them(server: str) -> None:
    """Donors and values go with the rows that they belong to, and a draw is never cut."""
    latents, donors, values = rows(10), rows(10, seed=1), np.arange(10.0)[:, None]
    given = (swap("color", donors), edits.set("digit", values), blend("residual", donors, 0.5))
    with Client(server) as whole, Client(server, rows_per_call=3) as parts:
        for some in (given, (*given, sample("color", 5))):
            one, other = whole.edit(latents, *some), parts.edit(latents, *some)
            np.testing.assert_array_equal(one.latents, other.latents)
            np.testing.assert_allclose(one.log_likelihood.after, other.log_likelihood.after, rtol=1e-6)


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
    assert_decoded(found)


def test_samples_are_drawn_again_by_their_seed(client: Client) -> None:
    """The seed that is returned draws the same codes; factors that are given are held."""
    first = client.sample(3, factors={"color": [[0.5]]})
    again = client.sample(3, seed=first.seed, decode=True)
    np.testing.assert_allclose(first.codes[:, :3], again.codes[:, :3], rtol=1e-6)
    np.testing.assert_array_equal(first.codes[:, COLOR], np.full((3, 1), 0.5))
    assert_decoded(again)
    assert first.outputs is None
    assert first.log_likelihood.shape == (3,)


def test_inputs_become_latents_and_latents_outputs(client: Client) -> None:
    """The model's encoder and decoder are asked as the flow is."""
    latents = client.latents(INPUTS).latents
    np.testing.assert_allclose(latents, encoder()(INPUTS), rtol=1e-5)
    np.testing.assert_allclose(client.decode(latents).outputs, decoder()(latents), rtol=1e-5)
    integers = client.latents(np.ones((2, 3), np.uint8)).latents
    np.testing.assert_allclose(integers, encoder()(np.ones((2, 3))), rtol=1e-5)
    inverted = client.invert(np.zeros((2, 4), np.float32), decode=True)
    assert_decoded(inverted)
    assert inverted.round_trip_error is None


def test_examples_ship_with_the_model(client: Client) -> None:
    """The example latents come as arrays, with what they are the latents of."""
    found = client.examples()
    np.testing.assert_allclose(found.latents, encoder()(INPUTS), rtol=1e-6)
    assert found.inputs is not None
    np.testing.assert_allclose(found.inputs, INPUTS)


def test_a_factor_is_swapped_in_four_lines(server: str) -> None:
    """What the README shows gives one row with the other's color, and with all else its own."""
    with Client(server) as client:
        latents = client.examples().latents
        mixed = client.edit(latents[:1], swap("color", latents[1:2])).latents
    np.testing.assert_allclose(mixed, [[*latents[0, :3], latents[1, 3]]], rtol=1e-5)
