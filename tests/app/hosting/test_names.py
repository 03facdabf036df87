"""Paths and the models they name."""

import pytest

from app.hosting.names import asks_default, named_in


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/digits", "digits"),
        ("/models/digits/versions/2/encode", "digits"),
        ("/gyoza/models/digits/encode", "digits"),
        ("/v2/models/digits.encode/infer", "digits"),
        ("/gyoza/v2/models/digits.factors/versions/1/ready", "digits"),
        ("/v2/models/stats", "stats"),
        ("/models/digits.encode/encode", None),
        ("/models/a b/encode", None),
        ("/models", None),
        ("/models/", None),
        ("/encode", None),
        ("/models/\n/encode", None),
    ],
)
def test_a_path_names_a_model_or_none(path: str, name: str | None) -> None:
    """Below every prefix, and without the operation that the protocol puts behind a model's name."""
    assert named_in(path) == name


@pytest.mark.parametrize(
    ("path", "does"),
    [
        ("/encode", True),
        ("/gyoza/factors", True),
        ("/models/digits/encode", False),
        ("/v2/models/digits.encode/infer", False),
        ("/readyz", False),
        ("/", False),
    ],
)
def test_a_path_asks_the_default_model_or_not(path: str, does: bool) -> None:
    """Only what maps or describes without naming a model does."""
    assert asks_default(path) is does
