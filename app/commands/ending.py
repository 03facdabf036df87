"""How a command ends that can't do what it was asked."""

from typing import NoReturn

import typer

__all__ = ["fail"]


def fail(message: str, code: int = 1) -> NoReturn:
    """Print what is wrong and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
