"""Which model is asked."""

import pytest

from gyoza.client.targets import target_of


@pytest.mark.parametrize(
    ("model", "version", "path"),
    [
        (None, None, "/encode"),
        ("digits", None, "/models/digits/encode"),
        ("digits", 2, "/models/digits/versions/2/encode"),
        ("a/../b?", "1/2", "/models/a%2F..%2Fb%3F/versions/1%2F2/encode"),
    ],
)
def test_paths(model: str | None, version: str | int | None, path: str) -> None:
    """A path names what is named, and nothing in a name leads elsewhere."""
    assert target_of(model, version).path("/encode") == path


def test_a_version_needs_a_model() -> None:
    """A version of no model is refused."""
    with pytest.raises(ValueError, match="A version needs the model"):
        target_of(None, 2)
