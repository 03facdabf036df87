"""``python -m app.workers``: what the supervisor starts."""

from app.workers.worker import work

work()
