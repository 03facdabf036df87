"""What the service tells of its models."""

from typing import Any

import pytest

from gyoza.client import Check, Factor, Layout, ModelDetails

FACTORS: list[dict[str, Any]] = [
    {"name": "residual", "start": 0, "size": 2},
    {"name": "a", "start": 2, "size": 1, "range": [-1.0, 1.0]},
]
DETAILS: dict[str, Any] = {"name": "tiny", "state": "READY", "reason": None, "versions": [], "version": "1"}


def test_a_layout_finds_factors_by_name() -> None:
    """A factor knows its columns in a code, and its range as a pair."""
    layout = Layout.of({"size": 3, "factors": FACTORS, "model": "tiny", "version": "1"})
    assert layout["a"] == Factor("a", 2, 1, None, (-1.0, 1.0))
    assert layout["a"].columns == slice(2, 3)
    assert layout["residual"].range is None
    with pytest.raises(KeyError):
        layout["b"]


def test_what_is_not_recorded_is_none() -> None:
    """The service's words for nothing are None, and what this client has no name for is in the document."""
    checks = [{"name": "golden", "passed": "not recorded", "error": "not recorded", "limit": "not recorded"}]
    details = ModelDetails.of({**DETAILS, "dtype": "not recorded", "checks": checks, "moods": ["good"]})
    assert (details.dtype, details.latent_shape, details.factors, details.files) == (None, None, None, None)
    assert details.checks == (Check("golden", None, None, None),)
    assert details.document["moods"] == ["good"]
