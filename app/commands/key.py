"""``gyoza key``: a new API key."""

from typing import Annotated

import typer

from app.commands.ending import fail
from app.keys import NAME, line_of, new_key

__all__ = ["key"]


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is, as the log names it: letters, digits and . _ @ -")],
) -> None:
    """Make an API key, and its line for the file of keys.

    That is the one of GYOZA_API_KEYS_FILE, or of GYOZA_ADMIN_KEYS_FILE.

    Example: gyoza key web
    """
    if not NAME.fullmatch(name):
        fail(
            "NAME must be of up to 64 letters, digits and . _ @ - and begin with a letter or digit. "
            f"Received: {name}. Choose another.",
            code=2,
        )
    made = new_key()
    typer.echo(f"The key, shown this once: {made}")
    typer.echo(f"Its line for the file:    {line_of(name, made)}")
