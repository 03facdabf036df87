"""What operators see at ``/metrics``: numbers that are counted in one sheet for each process, and shown as one.

The table of all of them is in ``families``. Under ``--workers`` each worker's sheet is a file that the others read, and that
outlives the process: the next worker goes on counting in it.
"""

from app.metrics.gauges import gauges_of
from app.metrics.metrics import Metrics

__all__ = ["Metrics", "gauges_of"]
