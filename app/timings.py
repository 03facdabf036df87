"""How long the parts of one request took: made once, for the header, the metrics, the log and the traces alike."""

from dataclasses import dataclass

PARTS = ("decode", "queue", "compute", "encode")
"""In the order in which they happen."""


@dataclass(slots=True)
class Timings:
    """The parts of one request in seconds, noted by whoever does them; together they are less than the whole.

    What begins when is on the clock of ``time.monotonic``, and 0 where it has not begun.
    """

    rows: int = 0
    """So many were asked of the engine."""
    decode: float = 0.0
    """From the bytes of the body, once they are there, to arrays."""
    queue: float = 0.0
    """From the arrival at the engine to the begin of the first pass."""
    compute: float = 0.0
    """Of the passes that its rows were in, all of each: others may have shared them."""
    encode: float = 0.0
    """From arrays to the bytes of the answer."""
    decode_start: float = 0.0
    queue_start: float = 0.0
    compute_start: float = 0.0
    encode_start: float = 0.0
