"""The ceiling: the floor behind FastAPI and nothing else, to say how fast a Python server could be.

Its answers are right, but it checks nothing, has no limits and no metrics, and computes on the event loop. What one turn of
the loop has read is computed as one batch. ``gc.freeze`` keeps collections from walking what the start left behind.
"""

import asyncio
import gc

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from benchmarks.compute.without_keras import floor
from benchmarks.flows.specs import Floats
from benchmarks.service.apps.common import Encoder, arguments, run
from benchmarks.service.formats import (
    LENGTH,
    SAFETENSORS,
    V2_PATH,
    dump_safetensors,
    join_v2,
    load_safetensors,
)

Job = tuple[Floats, asyncio.Future[tuple[Floats, Floats]]]


class Joiner:
    """Computes the rows that wait as one batch, at the end of the loop's turn."""

    def __init__(self, encoder: Encoder) -> None:
        """Wait for rows."""
        self._encode = encoder
        self._jobs: list[Job] = []

    async def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        """Encode rows [n, D] together with the others that wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Floats, Floats]] = loop.create_future()
        self._jobs.append((rows, future))
        if len(self._jobs) == 1:
            loop.call_later(0, self._flush)
        return await future

    def _flush(self) -> None:
        jobs, self._jobs = self._jobs, []
        codes, logdet = self._encode(np.concatenate([rows for rows, _ in jobs]) if len(jobs) > 1 else jobs[0][0])
        end = 0
        for rows, future in jobs:
            start, end = end, end + len(rows)
            if not future.cancelled():
                future.set_result((codes[start:end], logdet[start:end]))


def create(encoder: Encoder) -> FastAPI:
    """Return the application."""
    app, joiner = FastAPI(), Joiner(encoder)

    @app.post("/encode")
    async def encode(request: Request) -> Response:
        body = await request.body()
        if request.headers["content-type"] == SAFETENSORS:
            codes, logdet = await joiner.encode(load_safetensors(body)["latents"])
            return Response(dump_safetensors({"codes": codes, "logdet": logdet}), media_type=SAFETENSORS)
        codes, logdet = await joiner.encode(np.asarray(orjson.loads(body)["latents"], np.float32))
        fields = {"codes": codes, "logdet": logdet}
        return Response(orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

    @app.post(V2_PATH)
    async def infer(request: Request) -> Response:
        body, json_bytes = await request.body(), int(request.headers[LENGTH])
        (tensor,) = orjson.loads(body[:json_bytes])["inputs"]
        codes, logdet = await joiner.encode(np.frombuffer(body, "<f4", offset=json_bytes).reshape(tensor["shape"]))
        headers, content = join_v2("outputs", {"codes": codes, "logdet": logdet})
        return Response(content, headers=headers)

    return app


if __name__ == "__main__":
    chosen_port, flow = arguments()
    served = create(floor(flow).encode)
    gc.collect()
    gc.freeze()
    run(served, chosen_port)
