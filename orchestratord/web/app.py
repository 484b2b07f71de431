"""The Quart application: what holds for every route.

Each request gets a correlation id and an identity before its route, and every error leaves as an `ErrorEnvelope`. The
routes themselves are in `tasks.py` and `control.py`.

Implements: OC-CTRL-2030, OC-CTRL-2031, OC-CTRL-2052, AUTH-1001, AH-1003.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, ParamSpec, TypeVar, final

from quart import Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from orchestratord.errors import INTERNAL_MESSAGE, Code, ErrorEnvelope, Refused

from . import control, tasks
from .auth import OPEN_PATHS, identify
from .replies import error_response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .services import Services

P = ParamSpec("P")
T = TypeVar("T")

CORRELATION = "X-Correlation-Id"
_ACCEPTED_ID = re.compile(r"[\x20-\x7e]{1,128}")


@final
class App(QuartTrio):
    """Quart on Trio, whose handlers run where the service runs."""

    def sync_to_async(self, func: Callable[P, T]) -> Callable[P, Coroutine[object, object, T]]:
        """Call a handler that does not wait as it is, so that it is atomic.

        Quart would run it in a thread, where neither Trio's clock nor the service's state may be touched.
        """

        async def call(*args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ASYNC124 - it only looks like waiting
            return func(*args, **kwargs)

        return call


def create_app(services: Services) -> QuartTrio:
    """Return the application."""
    app = App("orchestratord", static_folder=None)
    app.url_map.merge_slashes = False  # `//` is another path: not found, not a redirect
    app.config["MAX_CONTENT_LENGTH"] = services.config.server.body_max_bytes
    app.config["RESPONSE_TIMEOUT"] = 60
    app.register_blueprint(tasks.routes(services))
    app.register_blueprint(control.routes(services))

    @app.before_request
    def meet() -> None:
        given = request.headers.get(CORRELATION, "")
        g.correlation_id = given if _ACCEPTED_ID.fullmatch(given) else str(uuid.uuid4())
        g.identity = None
        if request.path not in OPEN_PATHS:
            client = request.scope.get("client")
            g.identity = identify(
                services.config.auth, request.headers.get("Authorization"), client[0] if client else None
            )

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers[CORRELATION] = g.correlation_id
        return response

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return error_response(error.envelope, services.redact)

    @app.errorhandler(HTTPException)
    def no_such_thing(error: HTTPException) -> Response:
        return _http_error(error, services)

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        services.telemetry.log.error(
            "internal",
            human=f"a request fails on an unexpected {type(error).__name__}",
            actor="orchestratord",
            action=request.method,
            target=request.path,
            correlation_id=g.correlation_id,
            detail=str(error),
        )
        return error_response(ErrorEnvelope(code=Code.INTERNAL, message=INTERNAL_MESSAGE), services.redact)

    return app


def _http_error(error: HTTPException, services: Services) -> Response:
    status = error.code or 500
    limit = services.config.server.body_max_bytes
    texts = {
        404: (Code.NOT_FOUND, f"no route {request.path}", "see /v1/capabilities"),
        405: (Code.INVALID_PARAMS, f"{request.method} is not served on {request.path}", None),
        413: (Code.INVALID_PARAMS, f"body: larger than the limit of {limit} bytes", "server.body_max_bytes sets it"),
    }
    code, message, hint = texts.get(status, (Code.INVALID_PARAMS, error.description or error.name, None))
    envelope = ErrorEnvelope(code=code, message=services.redact(message), hint=hint)
    response = json_response(envelope.data, status)
    if status == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response
