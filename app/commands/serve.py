"""``gyoza serve``: every model of a folder over HTTP."""

import difflib
import inspect
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

import gyoza
from app.announcement import count_ready, headline, shown_folder, story
from app.commands.ending import fail
from app.http.files import raise_file_limit
from app.keys import KeyRing, KeysFileError
from app.lifecycle import Lifecycle
from app.logs import configure_logging
from app.main import check_telemetry, create_app
from app.repository import Repository
from app.serving import leave_at_signals, open_port, run, url_of
from app.settings import Settings, is_link, told, unread
from app.threads import limit_blas
from app.tls import TlsFilesError, check_tls
from app.workers import supervise

__all__ = ["serve"]

logger = logging.getLogger("gyoza.settings")

GUARDS = ("api_keys_file", "admin_keys_file", "public_metrics", "public_docs", "tls_certificate", "tls_key")
"""The settings that keep others out."""


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


@with_settings
def serve(**given: Any) -> None:
    """Serve every model of a folder over HTTP.

    Example: gyoza serve --models-dir models --port 8000
    """
    settings = settings_of(given)
    configure_logging(settings)
    tell_unread(os.environ)
    check_needs(settings)
    raise_file_limit()
    listener = listen(settings)
    url = url_of(settings, listener)
    leave_at_signals()
    typer.echo(f"gyoza {gyoza.__version__} loads the models in {shown_folder(settings.models_dir)} …")
    if settings.workers > 1:
        raise typer.Exit(supervise(settings, listener, url))

    def announce(repository: Repository, seconds: float) -> None:
        typer.echo(headline(url, count_ready(repository), len(repository.entries), seconds))
        typer.echo(story(url, repository, settings))

    limit_blas(os.environ)
    lifecycle = Lifecycle()
    run(create_app(settings, on_loaded=announce, lifecycle=lifecycle), settings, listener, lifecycle)


def settings_of(given: dict[str, Any]) -> Settings:
    """Read the settings, or say which can't be."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "\n".join(told(item["loc"], item["msg"]) for item in error.errors())
        fail(f"{wrong}\ngyoza serve --help tells what each may be.", code=2)
    if settings.workers > 1 and not hasattr(socket, "send_fds"):
        fail(
            "GYOZA_WORKERS: must be 1 on this system, where processes can't hand connections to each other. "
            f"Received: {settings.workers}. Leave --workers out.",
            code=2,
        )
    return settings


def tell_unread(environment: Mapping[str, str]) -> None:
    """Warn of variables that change nothing; one that was meant to keep others out is refused."""
    if is_link(environment.get("GYOZA_PORT")):
        logger.warning(
            "GYOZA_PORT is what Kubernetes tells of a service called gyoza, and changes nothing. "
            "Set enableServiceLinks: false in the pod, or GYOZA_PORT itself."
        )
    for name in unread(environment):
        short = name.lower().removeprefix("gyoza_")
        near = difflib.get_close_matches(short, Settings.model_fields, n=1, cutoff=0.7)
        meant = f"Did you mean GYOZA_{near[0].upper()}?" if near else "gyoza serve --help lists all."
        if difflib.get_close_matches(short, GUARDS, cutoff=0.75):
            fail(f"{name} is no setting, and without what it was meant for anybody may come in. {meant}", code=2)
        logger.warning("%s is no setting, and changes nothing. %s", name, meant)


def check_needs(settings: Settings) -> None:
    """Look at the files of keys and of TLS and at what traces need, or say what is wrong, before a port is open."""
    try:
        KeyRing(settings.api_keys_file, settings.admin_keys_file)
        if settings.tls_certificate and settings.tls_key:
            check_tls(settings.tls_certificate, settings.tls_key)
        check_telemetry(settings)
    except (KeysFileError, TlsFilesError, ImportError) as error:
        fail(str(error), code=2)


def listen(settings: Settings) -> socket.socket:
    """Open the port, or say why that can't be."""
    try:
        return open_port(settings)
    except OSError as error:
        fail(
            f"Can't listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Stop what uses it, or choose another with --port (0 takes a free one)."
        )
