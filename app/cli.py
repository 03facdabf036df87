"""The command line: names and summaries here, each command in a module of its own, imported when it is called."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import gyoza

MODULES = {"encode": "rows", "factors": "rows", "invert": "rows"}
"""The modules in ``app.commands`` of those commands that do not have one of their own name."""
SUMMARIES = {
    "serve": "Serve every model of a folder over HTTP.",
    "inspect": "Show what a flow's files hold: layers, sizes, factors, digests.",
    "check": "Run the service's load checks on a flow, and show their figures.",
    "package": "Write a flow as a model's next version, proven, with its plan.",
    "fit": "Train a flow from latents and labels, and measure it.",
    "encode": "Encode a file of latents to codes, however many rows.",
    "factors": "Encode a file of latents to factors by name, however many rows.",
    "invert": "Map a file of codes or factors back to latents, however many rows.",
    "key": "Make an API key, and its line for the file of keys.",
}
"""The first sentence of each command's docstring, so that the list of them imports none."""
OPTIONS: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}


class Commands(TyperGroup):
    """Commands of which the one that is called, or asked for its options, is imported and no other.

    So ``gyoza --help`` needs neither NumPy nor FastAPI, and what completes names in a shell answers at once.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name of the command that is called, the command, and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else imported(name), rest


main = typer.Typer(cls=Commands, no_args_is_help=True, **OPTIONS)


def imported(name: str) -> Any:
    """Import a command."""
    module = import_module(f"app.commands.{MODULES.get(name, name)}")
    alone = typer.Typer(add_completion=False, **OPTIONS)
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)


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


def named() -> None:
    """Stand for a command in the list of them."""


for command_name, summary in SUMMARIES.items():
    main.command(command_name, help=summary)(named)
