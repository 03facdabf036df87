"""The table shows what was measured, and what is missed is named."""

import pytest

from models.digits.report import mean, missed, reaches, table


def test_the_report_compares_with_the_targets() -> None:
    """Targets have a direction; the table shows each seed, the mean and the baseline."""
    assert reaches(0.92, "≥ .92")
    assert not reaches(0.151, "≤ .15")
    rows = {"seed 0": {"digit": 0.9, "digit leak": 0.1}, "seed 1": {"digit": 0.92, "digit leak": 0.2}}
    lines = table(rows, [{"digit": 0.8, "digit leak": 0.7}]).splitlines()
    assert lines[0] == "| measure | target | seed 0 | seed 1 | **mean** | linear |"
    assert lines[2] == "| digit | ≥ .92 | 0.900 | 0.920 | **0.910** | 0.800 |"
    assert mean(list(rows.values()))["digit leak"] == pytest.approx(0.15)


def test_one_flow_has_no_mean() -> None:
    """The mean of one flow would be the flow again."""
    lines = table({"models/digits/1": {"MIG": 0.1}}, [{"MIG": 0.2}]).splitlines()
    assert lines == [
        "| measure | target | models/digits/1 | linear |",
        "| --- | --- | --- | --- |",
        "| MIG |  | 0.100 | 0.200 |",
    ]


def test_a_missed_target_is_named() -> None:
    """What the mean does not reach is listed."""
    good = {"digit": 1, "color": 1, "angle": 1, "digit leak": 0.1, "color leak": 0.0, "angle leak": 0.0}
    good |= {"color swap follows": 1, "color swap keeps digit": 1, "digit swap follows": 1}
    assert missed(good) == []
    assert missed({**good, "angle": 0.5, "color leak": 0.06}) == ["angle", "color leak"]
