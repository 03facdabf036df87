"""Tables read well as text and are Markdown."""

from gyoza.metrics.tables import markdown


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    """Every line is as long as the others; the first column is aligned left, the others right."""
    assert markdown(["a", "block"], [["factor", "1.0"], ["b", "0.25"]]).splitlines() == [
        "| a      | block |",
        "| :----- | ----: |",
        "| factor |   1.0 |",
        "| b      |  0.25 |",
    ]


def test_a_single_narrow_column_is_still_markdown() -> None:
    """A rule has at least three signs."""
    assert markdown(["a"], [["1"]]).splitlines() == ["| a   |", "| :-- |", "| 1   |"]
