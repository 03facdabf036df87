"""What is reported is what was found."""

import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.machine import machine, versions
from benchmarks.report.chart import draw
from benchmarks.report.markdown import number, table
from benchmarks.report.summary import summary
from benchmarks.report.tables import report
from benchmarks.results import Results, merge, read, write
from benchmarks.targets import TARGETS, Target, best_peer
from tests.benchmarks.worlds import load, results


def found(what: str, run: Results) -> tuple[Target, float | None]:
    """A target, and its figure in a run."""
    (target,) = [target for target in TARGETS if target.what == what]
    return target, target.measure(run)


def test_results_are_kept_whole(tmp_path: Path) -> None:
    """A run is read from its file as it was written."""
    write(results(), tmp_path / "new" / "run.json")
    assert read(tmp_path / "new" / "run.json") == results()


def test_of_two_runs_the_first_counts() -> None:
    """A server that both put under load has the figures of the first; what only the second measured is added."""
    second = Results({}, {}, {}, loads=[load(p50_ms=9.0), load(server="echo", p50_ms=0.1)])
    merged = merge(replace(results(), starts=[]), second, results())
    assert merged.load("gyoza", "small-additive", "json", "r1c1", lambda found: found.p50_ms) == 1
    assert merged.load("echo", "small-additive", "json", "r1c1", lambda found: found.p50_ms) == 0.1
    assert merged.starts == results().starts


def test_a_figure_is_the_median_of_its_rounds() -> None:
    """One slow round does not count."""
    assert results().ms("plan", "small-additive", "encode", 1) == 0.3
    assert results().ms("plan", "small-additive", "invert", 1) is None


def test_targets_are_read_from_the_figures() -> None:
    """Ratios stand the right way round: at most for times of ours, at least for how much better ours is."""
    target, value = found("encode of 1 rows: plan / floor, the worst flow", results())
    assert value == pytest.approx(1.2)
    assert target.met(1.2)
    assert not target.met(1.4)
    target, value = found("1 row, small flows: tf.function / plan", results())
    assert value == pytest.approx(8)
    assert target.met(8)
    assert not target.met(3)
    assert found("json r1c16: p99 / p50", results())[1] == 5
    assert found("gyoza from .keras: time until ready less 2 s / import tensorflow", results())[1] == 2
    assert found("gyoza from .keras: memory / import tensorflow", results())[1] == pytest.approx(1.05)


def test_the_best_peer_is_the_mark() -> None:
    """By p50 with one client, by requests a second with more; in a format of the same family, of all that speak one."""
    run = results()
    assert best_peer("small-additive", "JSON", "r1c1", run) == ("fastapi-tf", 3)
    run.loads.append(load(server="mlserver", form="v2-json", scenario="r1c16", requests_s=900.0))
    assert best_peer("small-additive", "JSON", "r1c16", run) is None
    run.loads.append(load(server="triton", form="v2-json", scenario="r1c16", requests_s=800.0))
    assert best_peer("small-additive", "JSON", "r1c16", run) == ("mlserver", 900)
    assert best_peer("small-additive", "binary", "r1c1", run) is None
    _, value = found("small-additive, JSON r1c1: times shorter p50 than the best peer", run)
    assert value == 3


def test_what_was_not_measured_is_no_figure() -> None:
    """An empty run has no figure for any target, and says so."""
    empty = Results({}, {}, {})
    assert {target.measure(empty) for target in TARGETS} == {None}
    assert report(empty).count("not measured") == len(TARGETS)


def test_the_report_tells_everything() -> None:
    """Every table, what was left out, and what went wrong stand in it."""
    run = results()
    run.errors.append("a server did not answer")
    text = report(run)
    for part in (
        "| small-additive",
        "| mlserver",
        "NOT MET",
        "Left out: Something",
        "WRONG: a server did",
        "processor: any",
    ):
        assert part in text


def test_the_summary_has_a_line_for_each_server_and_format() -> None:
    """Figures that were not measured are dashes."""
    lines = summary(results()).splitlines()
    names = ["gyoza, json", "fastapi-tf, json", "mlserver, v2-json", "triton, v2-json"]
    assert [line.split("|")[1].strip() for line in lines[2:]] == names
    assert "–" in lines[-1]


def test_the_chart_is_the_same_each_time(tmp_path: Path) -> None:
    """The same figures give the same file, small enough for a README; a run without figures draws too."""
    for name in ("first.svg", "second.svg"):
        draw(results(), tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert (tmp_path / "first.svg").stat().st_size < 50_000
    draw(Results({}, {}, {}), tmp_path / "empty.png")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_numbers_have_about_three_digits(value: float | None, text: str) -> None:
    """As many as a measurement supports."""
    assert number(value) == text


def test_tables_are_aligned() -> None:
    """Text to the left, numbers to the right, also where it is read as it stands."""
    assert table(["what", "ms"], [["a", "1.0"], ["longer", "10.0"]]).splitlines() == [
        "| what   |   ms |",
        "| ------ | ---: |",
        "| a      |  1.0 |",
        "| longer | 10.0 |",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the processor is read from Linux' /proc")
def test_a_machine_is_told_without_its_name() -> None:
    """Neither the host nor a path is kept with the results."""
    told = {**machine(), **versions(["mlserver"])}
    assert "mlserver 1.7.1" in told["in mlserver's environment"]
    assert platform.node() not in told.values()
    assert not any(value.startswith("/") for value in told.values())
