"""The flow as MLServer runs it: Open Inference Protocol, adaptive batching."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.flows.specs import FLOWS
from benchmarks.service.apps.common import compiled_encoder


class FlowRuntime(MLModel):
    """Encodes one tensor, latents [n, D]."""

    async def load(self) -> bool:
        """Load the flow that the settings name."""
        self._encode = compiled_encoder(FLOWS[self.settings.parameters.extra["flow"]])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Encode."""
        codes, logdet = self._encode(NumpyCodec.decode_input(payload.inputs[0]))
        outputs = {"codes": codes, "logdet": logdet[:, None]}
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name, array) for name, array in outputs.items()]
        )
