"""The tables of figures, and where they are written."""

from deploy.container.measure import FIGURES, GUIDE, LOADS, Round, run_table


def round_of(number: float) -> Round:
    """A round in which everything is so large."""
    return Round(number, 10 * number, 20 * number, 30 * number, dict.fromkeys(LOADS, 1000 * number))


def test_medians_are_told() -> None:
    """One round that was disturbed changes no figure."""
    table = run_table({"slim": [round_of(1), round_of(2), round_of(900)]})
    assert [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")] == [
        "slim",
        "2.00",
        "20",
        "40",
        "60",
        "2,000",
        "2,000",
    ]


def test_the_guide_has_a_place_for_them() -> None:
    """Figures replace those of the run before, and nothing else of the guide."""
    guide = GUIDE.read_text()
    written, count = FIGURES.subn(lambda match: f"{match[1]}new\n{match[2]}", guide)
    assert count == 1
    assert written.splitlines()[:3] == guide.splitlines()[:3]
    assert written.splitlines()[-1] == guide.splitlines()[-1]
    assert "-->\nnew\n<!--" in written
