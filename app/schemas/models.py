"""The bodies that tell of models, their versions and their factors; of health; and of problems."""

from typing import Literal

from pydantic import Field

from app.schemas.base import Answer, Body

NotRecorded = Literal["not recorded"]
NOT_RECORDED: NotRecorded = "not recorded"


class FactorItem(Body):
    """One factor of a code."""

    name: str
    start: int = Field(description="Its first column in the code.")
    size: int
    description: str | None
    range: tuple[float, float] | None = Field(description="The values that make sense for it, from and to.")


class FactorsList(Answer):
    """The factor layout."""

    size: int = Field(description="Columns of a code.")
    factors: list[FactorItem]


class VersionItem(Body):
    """One version and its state."""

    version: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str | None


class ModelItem(Body):
    """One model; its state is its highest version's."""

    name: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str | None
    versions: list[VersionItem]


class ModelList(Body):
    """Every model found."""

    models: list[ModelItem]


class CheckItem(Body):
    """A load check and its figures, in units of 1 + max|row|."""

    name: str
    passed: bool | NotRecorded
    error: float | NotRecorded
    limit: float | NotRecorded


class HalfItem(Body):
    """A half of the host network that is served beside the flow."""

    input_shape: tuple[int, ...] = Field(description="Without the batch axis.")
    output_shape: tuple[int, ...] = Field(description="Without the batch axis.")
    kind: str | None = Field(description="What the outputs of a decoder are, such as image; null where it is not told.")
    dtype: str
    layers: int | NotRecorded
    parameters: int | NotRecorded
    checks: list[CheckItem]


class ModelDetail(ModelItem):
    """One model, and what is known of one version of it: by default the highest READY one."""

    version: str
    description: str | None = None
    latent_shape: tuple[int, ...] | NotRecorded = Field(NOT_RECORDED, description="Without the batch axis.")
    code_shape: tuple[int, ...] | NotRecorded = Field(NOT_RECORDED, description="Without the batch axis.")
    code_size: int | NotRecorded = NOT_RECORDED
    dtype: str = NOT_RECORDED
    factors: list[FactorItem] | None = None
    encoder: HalfItem | None = Field(None, description="What /latents runs; null where there is none.")
    decoder: HalfItem | None = Field(None, description="What /decode and ?decode=true run; null where there is none.")
    examples: int = Field(0, description="Rows of /examples.")
    layers: int | NotRecorded = NOT_RECORDED
    parameters: int | NotRecorded = NOT_RECORDED
    traces: int | NotRecorded = Field(
        NOT_RECORDED, description="How often a backend traced code that the plan calls; constant once it is warm."
    )
    files: dict[str, str] | NotRecorded = Field(NOT_RECORDED, description="File name to SHA-256.")
    libraries: dict[str, str] | NotRecorded = Field(NOT_RECORDED, description="Library to version.")
    checks: list[CheckItem] | NotRecorded = NOT_RECORDED


class Status(Body):
    """The answer of a health check that passes."""

    status: Literal["alive", "ready"]


class ProblemField(Body):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Body):
    """Any error, after RFC 9457."""

    type: str = Field(description="urn:gyoza:<kind>")
    title: str
    status: int
    detail: str = Field(description="What must hold, what was received, and what to do.")
    errors: list[ProblemField]
    request_id: str
