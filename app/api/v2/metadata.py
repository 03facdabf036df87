"""What is known of one model."""

from typing import Any

from starlette.requests import Request

from app.api.dependencies import services_of
from app.api.v2.models import Found, ready
from app.api.v2.schemas import ModelMetadata, ModelReady, TensorMetadata
from app.codecs.oip import NAMES
from app.repository import Repository, State

PLATFORM = "gyoza_flow"


async def model_metadata(request: Request) -> ModelMetadata:
    """Tell its tensors, and the versions that can be asked."""
    repository = services_of(request).repository
    found = ready(repository, request.path_params)
    datatype = datatype_of(found)
    return ModelMetadata(
        name=found.name,
        versions=ready_versions(repository, found.entry.name),
        platform=PLATFORM,
        inputs=[tensor(found.operation.input, datatype, found.row_shape)],
        outputs=[tensor(name, datatype, shape) for name, shape in found.outputs.items()],
    )


async def model_ready(request: Request) -> ModelReady:
    """Whether it can be asked."""
    found = ready(services_of(request).repository, request.path_params)
    return ModelReady(name=found.name, ready=True)


async def model_config(request: Request) -> dict[str, Any]:
    """Tell its configuration, as far as clients that measure read it; the batch is no axis here."""
    services = services_of(request)
    found = ready(services.repository, request.path_params)
    kind = "TYPE_" + datatype_of(found)
    return {
        "name": found.name,
        "platform": PLATFORM,
        "backend": "gyoza",
        "version_policy": {"all": {}},
        "max_batch_size": services.settings.max_rows,
        "input": [
            {
                "name": found.operation.input,
                "data_type": kind,
                "dims": found.row_shape,
                "optional": False,
                "is_shape_tensor": False,
            }
        ],
        "output": [{"name": name, "data_type": kind, "dims": shape or (1,)} for name, shape in found.outputs.items()],
        "dynamic_batching": {"max_queue_delay_microseconds": round(1e3 * services.settings.batch_delay_ms)},
        "model_transaction_policy": {"decoupled": False},
        "response_cache": {"enable": False},
    }


def ready_versions(repository: Repository, flow: str) -> list[str]:
    """Return the versions of a flow that are READY."""
    return [str(entry.version) for entry in repository.versions(flow) if entry.state is State.READY]


def tensor(name: str, datatype: str, row_shape: tuple[int, ...]) -> TensorMetadata:
    """Describe a tensor of any number of rows."""
    return TensorMetadata(name=name, datatype=datatype, shape=[-1, *row_shape])


def datatype_of(found: Found) -> str:
    """Return the datatype of all tensors of a model: the flow's."""
    return NAMES[found.model.flow.dtype.itemsize]
