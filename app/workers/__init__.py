"""Several processes behind one port: a supervisor starts them, hands them connections, and replaces those that die.

The supervisor alone opens the port and accepts. Each connection goes, as an open file, to one worker; from then on the two
have nothing to do with each other. Beside these connections goes a pipe of JSON lines (``app.workers.messages``).
``benchmarks/README.md`` says how this compares with workers that accept by themselves.
"""

from app.workers.supervisor import supervise

__all__ = ["supervise"]
