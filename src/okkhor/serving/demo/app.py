"""The page's server: static files, samples, and one question, /api/read, which it passes on to the model.

GET  /                   the page, its scripts and looks; /fonts/400.ttf, /fonts/600.ttf
GET  /api/about          who answers, and the samples
GET  /samples/<n>.png    a grapheme to try
POST /api/read           the bytes of one image -> the model's answer with activation maps, or why there is none
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okkhor.errors import InputError
from okkhor.serving.demo.answering import Answering
from okkhor.serving.demo.samples import TEXTS, sample_png
from okkhor.serving.typeface import FONTS, font_file

PAGE = Path(__file__).resolve().parents[4] / "serve" / "page"
MAX_IMAGE = 6_000_000  # bytes; as base64 in JSON it stays below what TorchServe takes
READ_SECONDS = 30.0  # for the bytes of an image to arrive
HEADERS = {
    # nothing from elsewhere, nothing inline
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def page_app(answering: Answering, hosts: Sequence[str]) -> Starlette:
    """The application. hosts: names that the page may be asked for by; others are a rebound DNS name's."""

    async def about(request: Request) -> Response:
        samples = [{"text": text, "src": f"samples/{i}.png"} for i, text in enumerate(TEXTS)]
        shown = samples if answering.letters else []
        said = {"where": await run_in_threadpool(answering.where), "samples": shown, "limit": MAX_IMAGE}
        return JSONResponse(said)

    async def read(request: Request) -> Response:
        try:
            image = await asyncio.wait_for(_body(request), READ_SECONDS)
        except TimeoutError:
            raise HTTPException(408, f"the image did not arrive within {READ_SECONDS:g} seconds") from None
        status, answer = await run_in_threadpool(answering.ask, image)
        return JSONResponse(answer | {"where": await run_in_threadpool(answering.where)}, status)

    async def sample(request: Request) -> Response:
        number = request.path_params["number"]
        if not 0 <= number < len(TEXTS):
            raise HTTPException(404, f"no sample {number}; expected 0 to {len(TEXTS) - 1}")
        return Response(await run_in_threadpool(sample_png, number), media_type="image/png")

    async def font(request: Request) -> Response:
        weight = request.path_params["weight"]
        if weight not in FONTS:
            raise HTTPException(404, f"no such font; expected the weights {', '.join(map(str, FONTS))}")
        return FileResponse(font_file(weight), media_type="font/ttf", headers={"Cache-Control": "max-age=86400"})

    routes = [
        Route("/api/about", about),
        Route("/api/read", read, methods=["POST"]),
        Route("/samples/{number:int}.png", sample),
        Route("/fonts/{weight:int}.ttf", font),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    middleware = [Middleware(_Headers), Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))]
    refusing = {HTTPException: _refused, InputError: _not_ready}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=refusing)


async def _body(request: Request) -> bytes:
    """The request's body; raises HTTPException 413 as soon as it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_IMAGE:
            raise HTTPException(413, f"an image of more than {MAX_IMAGE:,} bytes; send a smaller one")
    return bytes(body)


async def _refused(request: Request, error: Exception) -> Response:
    """Every refusal in the form of the model's own."""
    assert isinstance(error, HTTPException)
    said = {"code": error.status_code, "type": "Refused", "message": str(error.detail)}
    return JSONResponse(said, error.status_code, headers=error.headers)


async def _not_ready(request: Request, error: Exception) -> Response:
    """What is wrong on this machine, such as a server's record that cannot be read."""
    return JSONResponse({"code": 503, "type": "NoServer", "message": str(error)}, 503)


class _Headers:
    """Adds HEADERS to every answer; what has no Cache-Control of its own is asked for again."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                added: list[tuple[bytes, bytes]] = [(n.lower().encode(), v.encode()) for n, v in HEADERS.items()]
                if b"cache-control" not in there:
                    added.append((b"cache-control", b"no-cache"))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
