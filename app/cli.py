"""The command line: each command is a few lines over the library or the service."""

import inspect
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvicorn
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

import gyoza
from app.commands.ending import fail
from app.commands.fit import fit
from app.errors import NotFound, TryLater, sendable
from app.logs import configure_logging
from app.main import LOADING, create_app
from app.repository import Entry, Repository
from app.settings import Settings

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


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting, so that they are written down once."""
    options = [option_of(name) for name in Settings.model_fields]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def option_of(name: str) -> inspect.Parameter:
    """Make the option of one setting; left out, the environment decides, then the default."""
    field = Settings.model_fields[name]
    flag = name.replace("_", "-")
    declaration = f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}"
    default = (
        "" if field.default in {None, ""} or field.default is PydanticUndefined else f" [default: {field.default}]"
    )
    text = f"{field.description}{default} [env: GYOZA_{name.upper()}]"
    kind = bool if field.annotation is bool else str
    option = Annotated[kind | None, typer.Option(declaration, help=text, show_default=False)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)


main.command()(fit)


@main.command()
@with_settings
def serve(**given: Any) -> None:
    """Serve every model of a folder over HTTP."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "\n".join(f"GYOZA_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        fail(f"{wrong}\ngyoza serve --help tells what each may be.", code=2)
    configure_logging(settings)
    listener = listen(settings)
    app = create_app(settings, on_loaded=partial(announce, url_of(settings.host, listener), settings.strict_readiness))
    typer.echo(f"gyoza {gyoza.__version__} loads the models in {shown_folder(settings.models_dir)} …")
    run(app, settings, listener)


def listen(settings: Settings) -> socket.socket:
    """Open the port, or say why that can't be."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        fail(
            f"Can't listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Stop what uses it, or choose another with --port (0 takes a free one)."
        )


def run(app: Any, settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal asks to stop, then end with the code 0."""
    grace = int(settings.request_timeout_s) + 1
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        timeout_graceful_shutdown=grace,
    )
    # uvicorn raises the signal again when it has stopped: this turns it into an ordinary end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave())
    uvicorn.Server(config).run(sockets=[listener])


def leave() -> NoReturn:
    """End the process with the code 0."""
    sys.stdout.flush()
    if any(thread.name == LOADING for thread in threading.enumerate()):
        # Keras is being imported or is at work: taking the interpreter apart around it would abort the process.
        os._exit(0)
    sys.exit(0)


def url_of(host: str, listener: socket.socket) -> str:
    """Return the address to look at, one that this machine itself reaches."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{listener.getsockname()[1]}"


def announce(url: str, strict: bool, repository: Repository, seconds: float) -> None:
    """Print where it serves, what was loaded, what keeps it from being ready, and where to look."""
    ready = sum(entry.model is not None for entry in repository.entries)
    typer.echo(
        f"Serving on {url} (Ctrl+C ends it): {ready} of {len(repository.entries)} versions READY in {seconds:.1f} s"
    )
    for entry in repository.entries:
        typer.echo(told(entry))
    if not repository.is_ready(strict=strict):
        typer.echo(alarming(why_not_ready(repository)))
    typer.echo(f"Documentation:  {url}/docs\nTry:            curl {url}{example(repository)}")


def told(entry: Entry) -> str:
    """Tell one version in a line, one that is not served so that it can't be missed."""
    title = f"{entry.name} version {entry.version}: {entry.state}"
    if entry.model is None:
        return alarming(f"! {title} ({entry.reason})")
    return f"  {title}, latents {list(entry.model.flow.latent_shape)} in {entry.model.flow.dtype}"


def alarming(text: str) -> str:
    """Make a text red where it is read on a terminal."""
    return typer.style(text, fg="red", bold=True)


def why_not_ready(repository: Repository) -> str:
    """Say what a server that is not ready waits for."""
    if repository.entries:
        others = ", or be ready without it by --no-strict-readiness" if repository.is_ready(strict=False) else ""
        return f"NOT READY (/readyz answers 503): mend or remove what is UNAVAILABLE and start again{others}."
    folder = shown_folder(repository.folder)
    # Unlike Path.is_dir, this raises nothing where a folder above may not be read.
    there = f"{folder} holds no model" if os.path.isdir(repository.folder) else f"there is no folder {folder}"  # noqa: PTH112
    return (
        f"NOT READY (/readyz answers 503): {there}. Put <name>/<version>/flow.keras or <name>.keras into it, or choose "
        "another folder with --models-dir, and start again."
    )


def shown_folder(folder: Path) -> str:
    """Return a folder's whole path, since a relative one is found from elsewhere than one thinks."""
    return sendable(str(folder.absolute()))


def example(repository: Repository) -> str:
    """Return a path that answers: the factors of the default model, itself if it has none, or every model."""
    try:
        entry, model = repository.ready()
    except (NotFound, TryLater):
        return "/models"
    return f"/models/{entry.name}" if model.layout is None else "/factors"
