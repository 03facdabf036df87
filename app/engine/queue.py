"""A queue of jobs that is bounded, and emptied, in rows."""

from collections import deque
from collections.abc import Iterator

from app.engine.jobs import Job, Piece


class RowQueue:
    """Jobs in the order of their arrival; one that is larger than a pass gives one pass's rows and joins the end again.

    No other job is cut: a part of the next job would make a pass dearer for all that are in it, and that job would not be
    done before the pass after it either way.

    Args:
        max_batch_rows: The most rows in one pass.
        max_rows: The most rows that wait. One larger job may come where nothing waits, and of that only the rows of its
            next pass count: others find room beside it.
    """

    def __init__(self, max_batch_rows: int, max_rows: int) -> None:
        """Start empty."""
        self.max_batch_rows = max_batch_rows
        self.max_rows = max_rows
        self.waiting_rows = 0
        self._jobs: deque[Job] = deque()
        self._uncounted = 0

    def __iter__(self) -> Iterator[Job]:
        """Go through all jobs as they are now, those that nobody waits for any more among them."""
        return iter(tuple(self._jobs))

    @property
    def is_complete(self) -> bool:
        """Whether there are rows for a whole pass."""
        return self.waiting_rows >= self.max_batch_rows

    @property
    def waiting_since(self) -> float:
        """When the job arrived whose turn is next; the queue must not be empty."""
        return self._jobs[0].arrived

    def has_room(self, rows: int) -> bool:
        """Whether a job of so many rows may come."""
        return not self.waiting_rows or self.waiting_rows - self._uncounted + rows <= self.max_rows

    def add(self, job: Job) -> None:
        """Add a job for which there is room."""
        self._jobs.append(job)
        self._count(job, len(job.rows))

    def drop(self, job: Job) -> None:
        """Forget the rows of a job that are in no pass yet; its future is done."""
        self._count(job, 0)
        while self._jobs and self._jobs[0].future.done():
            self._count(self._jobs.popleft(), 0)

    def take(self) -> list[Piece]:
        """Take the pieces of the next pass; jobs that nobody waits for any more are left out."""
        pieces: list[Piece] = []
        room = self.max_batch_rows
        while self._jobs and (rows := min(self._jobs[0].waiting_rows, self.max_batch_rows)) <= room:
            job = self._jobs.popleft()
            if job.future.done():
                self._count(job, 0)
            else:
                pieces.append(self._cut(job, rows))
                room -= rows
        return pieces

    def _cut(self, job: Job, rows: int) -> Piece:
        start = len(job.rows) - job.waiting_rows
        self._count(job, job.waiting_rows - rows)
        if job.waiting_rows:
            self._jobs.append(job)
        return Piece(job, start, start + rows)

    def _count(self, job: Job, waiting_rows: int) -> None:
        """Note that so many rows of a job wait now; what was noted already, such as a job dropped twice, changes nothing."""
        if waiting_rows == job.waiting_rows:
            return
        self.waiting_rows += waiting_rows - job.waiting_rows
        job.waiting_rows = waiting_rows
        if len(job.rows) > self.max_rows:
            self._uncounted = max(0, waiting_rows - self.max_batch_rows)
