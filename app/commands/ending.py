"""How a command ends that can't do what it was asked, or is interrupted."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

__all__ = ["INTERRUPTED", "ending_cleanly", "fail", "leave_interrupted", "what_failed"]

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
"""What a shell expects of a command that a signal ended."""


class TerminatedError(BaseException):
    """SIGTERM came. Like ``KeyboardInterrupt``, it lets what is half done be taken away."""


def fail(message: str, code: int = 1) -> NoReturn:
    """Print what is wrong and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def ending_cleanly(*expected: type[Exception]) -> Iterator[None]:
    """Turn what may go wrong into a message and a code: expected errors, files that can't be used, signals to end."""
    former = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        leave_interrupted()
    except TerminatedError:
        leave_interrupted(TERMINATED)
    except expected as error:
        fail(str(error))
    except OSError as error:
        fail(what_failed(error))
    finally:
        signal.signal(signal.SIGTERM, former)


def terminate(*_: object) -> NoReturn:
    """End what is being done, as Ctrl+C does."""
    raise TerminatedError


def what_failed(error: OSError, hint: str = "mend the path") -> str:
    """Say which file can't be read or written, and what to do where it is not there."""
    if not error.strerror:
        return str(error)
    shown = f"{error.filename}: " if error.filename else ""
    return f"{shown}{error.strerror}{f'; {hint}' if isinstance(error, FileNotFoundError) else ''}"


def leave_interrupted(code: int = INTERRUPTED) -> NoReturn:
    """End the process at once."""
    typer.echo("\nInterrupted: nothing was written.", err=True)
    sys.stdout.flush()
    # Threads of the backend may still be at work: taking the interpreter apart around them would abort the process.
    os._exit(code)
