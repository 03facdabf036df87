"""The command line: each command is a few lines over the library or the service."""

from typing import Annotated

import typer

import gyoza
from app.commands.fit import fit
from app.commands.key import key
from app.commands.serve import serve

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"gyoza {gyoza.__version__}")
        raise typer.Exit


@main.callback()
def gyoza_command(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Disentangling normalizing flows: latents to factors and back."""


main.command()(fit)
main.command()(key)
main.command()(serve)
