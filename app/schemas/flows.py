"""The bodies of what maps rows: latents to codes and factors and back, inputs to latents, latents to outputs."""

from pydantic import ConfigDict, Field, model_validator

from app.schemas.base import DECODED, Answer, Body, OptionalTensor, Rows, Tensor


class LatentsRequest(Body):
    """Latents to be mapped."""

    latents: Tensor = Field(description="[n, *latent_shape]")


class InvertRequest(Body):
    """Codes, or every factor by its name, once."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    # Factories, since the documentation would show a plain default as a value to send.
    codes: OptionalTensor = Field(default_factory=lambda: None, description="[n, *code_shape]")
    factors: dict[str, Tensor] = Field(default_factory=dict, description="Each [n, its size].")

    @model_validator(mode="after")
    def one_of_two(self) -> "InvertRequest":
        """Refuse both and neither."""
        if len(self.model_fields_set) != 1:
            raise ValueError("must hold either codes or factors, and not both")
        return self


class EncodeAnswer(Answer):
    """Codes of the latents."""

    codes: Tensor
    logdet: Rows
    log_likelihood: Rows


class FactorsAnswer(Answer):
    """Factors of the latents."""

    factors: dict[str, Tensor]
    logdet: Rows
    log_likelihood: Rows


class InvertAnswer(Answer):
    """Latents of the codes."""

    latents: Tensor
    round_trip_error: Rows | None = Field(None, description="With ?check=true: max abs T(T⁻¹(c)) − c of each row.")
    outputs: OptionalTensor = Field(default_factory=lambda: None, description=DECODED)


class InputsRequest(Body):
    """Inputs of the host network, to be mapped to latents."""

    inputs: Tensor = Field(description="[n, *input_shape of the encoder]")


class LatentsAnswer(Answer):
    """Latents of the inputs."""

    latents: Tensor


class OutputsAnswer(Answer):
    """Outputs of the latents."""

    outputs: Tensor = Field(description="[n, *output_shape of the decoder]")


class ExamplesAnswer(Answer):
    """What ships with the model to try it with."""

    latents: Tensor = Field(description="[n, *latent_shape]")
    inputs: OptionalTensor = Field(
        default_factory=lambda: None, description="[n, …], what the latents were made of, where that ships too."
    )
