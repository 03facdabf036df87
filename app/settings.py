"""Every setting of the service, read here and nowhere else."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENVIRONMENT = "GYOZA_"
LINK = "_SERVICE_HOST"
"""The end of the variable by which Kubernetes tells containers of a service; beside it are others with the same begin."""
LINKED = re.compile(r"(?:tcp|udp|sctp)://.*")
"""What Kubernetes puts into ``<SERVICE>_PORT``, and so into ``GYOZA_PORT`` where a service is called gyoza."""
PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
OWN_FOLDERS = ("models", "v2")
COLLECTOR = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^\s/?#A-Z]+")


class Settings(BaseSettings):
    """Settings come from arguments, else from environment variables ``GYOZA_<NAME>``, else from these defaults."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    workers: int = Field(
        1, ge=1, le=1024, description="Processes that serve on the port, each with its own compiled models."
    )
    models_dir: Path = Field(Path("models"), description="Folder of the models, <name>/<version>/flow.keras in it.")
    default_model: str | None = Field(
        None, description="Model that paths without a model mean; unset: the only READY one."
    )
    strict_readiness: bool = Field(
        True, description="Ready means every version found is READY; false: at least one is."
    )
    max_body_bytes: int = Field(64 * 2**20, ge=1, description="Largest body of a request, in bytes.")
    max_json_bytes: int = Field(16 * 2**20, ge=1, description="Largest JSON body of a request, in bytes.")
    max_intake_bytes: int | None = Field(
        None, ge=1, description="Most bytes of bodies that are on their way to a process; unset: eight of the largest."
    )
    max_rows: int = Field(65_536, ge=1, description="Most rows in one request.")
    max_batch_rows: int = Field(1_024, ge=1, description="Most rows in one pass through the flow.")
    max_queue_rows: int | None = Field(
        None, ge=1, description="Most rows waiting per model and direction; unset: two batches."
    )
    batch_delay_ms: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Milliseconds that an incomplete batch waits for more rows."
    )
    request_timeout_s: float = Field(
        30.0, gt=0, allow_inf_nan=False, description="Seconds after which a request without answer gets 504."
    )
    pre_stop_delay_s: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds from a signal to stop, since when /readyz is 503, to the port's closing.",
    )
    drain_timeout_s: float = Field(
        30.0, ge=0, allow_inf_nan=False, description="Seconds that requests have to end once the port is closed."
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people (text) or machines (json).")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    otel_endpoint: str | None = Field(
        None, description="OpenTelemetry collector to send traces to, such as http://localhost:4318; unset: none."
    )
    root_path: str = Field("", description="Path prefix of a proxy, whether or not it strips it, such as /gyoza.")
    api_keys_file: Path | None = Field(
        None, description="File of the API keys that may call, made by gyoza key; unset: anybody may."
    )
    admin_keys_file: Path | None = Field(
        None, description="File of the API keys that may also change what is served; unset: nobody may."
    )
    repository_control: bool = Field(False, description="Let admins load and unload models while the service runs.")
    public_metrics: bool = Field(True, description="Whether /metrics needs no key.")
    public_docs: bool = Field(True, description="Whether the documentation pages and the explorer need no key.")
    explorer: bool = Field(True, description="Whether / is the explorer, a page that shows what the models do.")
    cors_origins: str = Field(
        "", description="Origins whose pages may call, separated by commas, or * for any; empty: none."
    )
    tls_certificate: Path | None = Field(None, description="Certificate chain (PEM) to serve HTTPS with; unset: HTTP.")
    tls_key: Path | None = Field(None, description="Key (PEM, without a password) of the certificate.")
    trusted_modules: str = Field(
        "",
        pattern=r"^\s*(\w+(\.\w+)*(\s*,\s*\w+(\.\w+)*)*)?\s*$",
        description="Python modules whose registered layers .keras files may name, separated by commas; none by default.",
    )

    @property
    def queue_rows(self) -> int:
        """The most rows that wait per model and direction."""
        return self.max_queue_rows or 2 * self.max_batch_rows

    @property
    def intake_bytes(self) -> int:
        """The most bytes of bodies that are on their way; at least one of the largest may be."""
        return max(self.max_intake_bytes or 8 * self.max_body_bytes, self.max_body_bytes)

    @property
    def trusted(self) -> tuple[str, ...]:
        """The names of the modules that are trusted."""
        return parts_of(self.trusted_modules)

    @property
    def has_keys(self) -> bool:
        """Whether keys are known at all."""
        return self.api_keys_file is not None or self.admin_keys_file is not None

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may call."""
        return parts_of(self.cors_origins)

    @field_validator("port", mode="before")
    @classmethod
    def _leave_out_link(cls, port: Any) -> Any:
        return cls.model_fields["port"].default if is_link(port) else port

    @field_validator("root_path")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        prefix = prefix.rstrip("/")
        if not PREFIX.fullmatch(prefix):
            raise ValueError(f"must begin with / and hold letters, digits and . _ ~ - alone. Received: {prefix}.")
        if prefix.partition("/")[2].partition("/")[0] in OWN_FOLDERS:
            raise ValueError(f"must not begin with a path of the service itself. Received: {prefix}. Choose another.")
        return prefix

    @field_validator("repository_control")
    @classmethod
    def _check_control(cls, control: bool, info: ValidationInfo) -> bool:
        if control and info.data.get("admin_keys_file") is None:
            raise ValueError("must be false while nobody may use it. Set GYOZA_ADMIN_KEYS_FILE too, or leave it out.")
        return control

    @field_validator("public_metrics", "public_docs")
    @classmethod
    def _check_public(cls, public: bool, info: ValidationInfo) -> bool:
        if not public and info.data.get("api_keys_file") is None and info.data.get("admin_keys_file") is None:
            raise ValueError("must be true while there are no keys. Set GYOZA_API_KEYS_FILE or GYOZA_ADMIN_KEYS_FILE.")
        return public

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: str) -> str:
        wrong = [part for part in origins.split(",") if part.strip() and not ORIGIN.fullmatch(part.strip())]
        if wrong:
            raise ValueError(
                "must be * or origins such as https://example.org, in lower case, without a path or a slash at the end. "
                f"Received: {wrong[0].strip()}."
            )
        return origins

    @field_validator("otel_endpoint")
    @classmethod
    def _check_collector(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not COLLECTOR.fullmatch(endpoint):
            raise ValueError(
                f"must be an address such as http://localhost:4318, to which OTLP over HTTP goes. Received: {endpoint}."
            )
        return endpoint

    @field_validator("tls_key")
    @classmethod
    def _check_pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("must be set together with GYOZA_TLS_CERTIFICATE. Set both, or neither.")
        return key


def is_link(port: object) -> bool:
    """Whether a port is none that anybody set, but the address of a service that Kubernetes tells every container."""
    return isinstance(port, str) and LINKED.fullmatch(port) is not None


def unread(environment: Iterable[str]) -> list[str]:
    """Return the names of variables that look like settings and are none, but for those of Kubernetes' services."""
    known = {f"{ENVIRONMENT}{name.upper()}" for name in Settings.model_fields}
    named = sorted(name for name in environment if name.upper().startswith(ENVIRONMENT))
    links = tuple(
        name.removesuffix(LINK) + end for name in named if name.endswith(LINK) for end in ("_SERVICE_", "_PORT")
    )
    return [name for name in named if name.upper() not in known and not name.startswith(links)]


def told(place: Iterable[int | str], message: str) -> str:
    """Tell what is wrong with a setting, by the name of its variable."""
    return f"{ENVIRONMENT}{'_'.join(map(str, place)).upper()}: {message.removeprefix('Value error, ')}"


def parts_of(text: str) -> tuple[str, ...]:
    """Return the parts of a text with commas between them."""
    return tuple(part for piece in text.split(",") if (part := piece.strip()))
