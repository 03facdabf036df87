"""What is written as TOML is read as what was meant."""

import hashlib
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gyoza.packaging.manifest import FactorNote, Outputs, digests_of, manifest_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts=st.lists(TEXTS, min_size=4, max_size=4), low=st.floats(-1e9, 1e9))
def test_every_text_and_number_comes_back(texts: list[str], low: float) -> None:
    """Quotes, line breaks, controls and other alphabets are no exception."""
    one, two, three, four = texts
    factors = [FactorNote("residual", 3), FactorNote("color", 2, two, (low, 2e9))]
    text = manifest_text(factors, {one: "ab"}, three, Outputs((8, 8, 3), four))
    assert tomllib.loads(text) == {
        "description": three,
        "factors": [
            {"name": "residual", "size": 3},
            {"name": "color", "size": 2, "description": two, "range": [low, 2e9]},
        ],
        "outputs": {"shape": [8, 8, 3], "kind": four},
        "files": {one: "ab"},
    }


def test_what_is_not_told_is_left_out() -> None:
    """Without factors, description and outputs there are the files alone."""
    assert manifest_text([], {"flow.keras": "ab"}) == '[files]\n"flow.keras" = "ab"\n'


def test_digests(tmp_path: Path) -> None:
    """Digests are those of the files, by their names."""
    (tmp_path / "a").write_bytes(b"abc")
    assert digests_of([tmp_path / "a"]) == {"a": hashlib.sha256(b"abc").hexdigest()}
