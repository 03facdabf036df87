"""Every setting of the service, read here and nowhere else."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings come from arguments, else from environment variables ``GYOZA_<NAME>``, else from these defaults."""

    model_config = SettingsConfigDict(env_prefix="GYOZA_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    workers: int = Field(1, ge=1, description="Processes that serve on the port, each with its own compiled models.")
    models_dir: Path = Field(Path("models"), description="Folder of the models, <name>/<version>/flow.keras in it.")
    default_model: str | None = Field(
        None, description="Model that paths without a model mean; unset: the only READY one."
    )
    strict_readiness: bool = Field(
        True, description="Ready means every version found is READY; false: at least one is."
    )
    max_body_bytes: int = Field(64 * 2**20, ge=1, description="Largest body of a request, in bytes.")
    max_json_bytes: int = Field(16 * 2**20, ge=1, description="Largest JSON body of a request, in bytes.")
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
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people (text) or machines (json).")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    root_path: str = Field("", description="Path prefix that a proxy strips before requests arrive.")

    @property
    def queue_rows(self) -> int:
        """The most rows that wait per model and direction."""
        return self.max_queue_rows or 2 * self.max_batch_rows
