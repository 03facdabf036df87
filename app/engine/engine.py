"""The engine: all that the API sees of computing."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from weakref import WeakKeyDictionary

from app.engine.batcher import Batcher, Results
from app.model import Model, Primitive
from app.repository import Repository
from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Floats


class Engine:
    """Runs the primitives of the models of a repository, one queue per model and primitive.

    Args:
        repository: Where the models are.
        threads: So many passes are computed at once.
        max_batch_rows: The most rows in one pass.
        max_queue_rows: The most rows that wait in one queue.
    """

    def __init__(self, repository: Repository, *, threads: int = 1, max_batch_rows: int, max_queue_rows: int) -> None:
        """Start the pool; its threads start when they are needed."""
        self._repository = repository
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gyoza-compute")
        self._batcher = partial(Batcher, pool=self._pool, max_batch_rows=max_batch_rows, max_queue_rows=max_queue_rows)
        self._batchers: WeakKeyDictionary[Model, dict[Primitive, Batcher]] = WeakKeyDictionary()

    async def run(self, model: str, version: int, primitive: Primitive, rows: Floats, deadline: float) -> Results:
        """Run a primitive on rows.

        Args:
            model: The name of a model in the repository.
            version: One of its versions.
            primitive: Which way to go.
            rows: Latents [n, *latent_shape] to encode, codes [n, *code_shape] to invert.
            deadline: On the clock of ``time.monotonic``.

        Returns:
            (codes [n, *code_shape], logdet [n]) of encode; (latents [n, *latent_shape],) of invert.

        Raises:
            NotReady: The version is not READY.
            DeadlineExceeded: The deadline passed.
            Overloaded: The queue is full.
        """
        return await self._lane(self._repository.model(model, version), primitive).run(rows, deadline)

    def close(self) -> None:
        """Finish what runs, and start nothing more."""
        self._pool.shutdown(cancel_futures=True)

    def _lane(self, model: Model, primitive: Primitive) -> Batcher:
        lanes = self._batchers.get(model)
        if lanes is None:
            lanes = {
                Primitive.ENCODE: self._batcher(model.flow.encode, seconds=model.seconds[Primitive.ENCODE]),
                Primitive.INVERT: self._batcher(partial(invert, model.flow), seconds=model.seconds[Primitive.INVERT]),
            }
            self._batchers[model] = lanes
        return lanes[primitive]


def invert(flow: CompiledFlow, codes: Floats) -> Results:
    """Invert codes to the one result (latents,)."""
    return (flow.invert(codes),)
