"""Counts, and the pace of passes."""

from app.engine.stats import Batches, Refusal, Stats, Tally


def test_counts_add_up() -> None:
    """What is counted is in the stats, which later counts do not change."""
    tally = Tally({})
    tally.answered(queue_seconds=0.5, compute_seconds=0.1, now=7.0)
    tally.answered(queue_seconds=0.25, compute_seconds=0.1, now=8.0)
    tally.passed(3, compute_seconds=0.1, seconds=0.2)
    tally.refused[Refusal.FAILED] += 1
    stats = tally.stats(waiting_rows=7)
    tally.refused[Refusal.FAILED] += 1
    tally.passed(3, compute_seconds=0.1, seconds=0.2)
    assert stats == Stats(2, 1, 3, 7, {Refusal.FAILED: 1}, 0.75, 0.1, 0.2, 8.0, {3: Batches(1, 0.1)})
    assert stats.failures == 1


def test_the_pace_is_that_of_recent_passes() -> None:
    """The time to come back is at least a second, first follows the warm-up, then the passes, the later the more."""
    assert Tally({}).retry_after(10**9) == 1
    tally = Tally({1: 1.0, 100: 10.0})
    assert tally.retry_after(205) == 21
    for _ in range(100):
        tally.passed(100, compute_seconds=20.0, seconds=40.0)
    assert tally.retry_after(205) == 82
    tally.passed(100, compute_seconds=20.0, seconds=10.0)
    assert 70 < tally.retry_after(205) < 82
