"""The HTTP stack alone: FastAPI answers the bytes of the body, unread."""

from fastapi import FastAPI, Request, Response

from benchmarks.service.apps.common import arguments, run

app = FastAPI()


@app.post("/encode")
async def echo(request: Request) -> Response:
    """Answer the body."""
    return Response(await request.body(), media_type=request.headers["content-type"])


if __name__ == "__main__":
    run(app, arguments()[0])
