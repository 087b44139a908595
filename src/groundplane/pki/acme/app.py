"""ACME over HTTP (RFC 8555, 6 and 7.1): which URL is which handler, and what every answer carries.

Bounds: bodies of 128 KiB, which come within ten seconds; so many requests a second for one address. Handlers are
synchronous and run in threads. Whatever happens, the answer is a problem document: what was not foreseen is logged, and
the client is told no more than that.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from groundplane.errors import GroundplaneError, Unavailable
from groundplane.observe.log import logger
from groundplane.pki.acme import accounts, authorizations, metrics, nonces, orders, renewals, revocations
from groundplane.pki.acme.authentication import By, authenticate
from groundplane.pki.acme.context import Answer, Asked, Context, link
from groundplane.pki.acme.problem import Problem, Type, malformed
from groundplane.pki.acme.throttle import Throttle, network_of

LARGEST_BODY = 128 << 10
_BODY_WITHIN = 10.0
_JOSE = "application/jose+json"
_ID = "([0-9a-f]{32})"
_log = logger("acme")
Handler = Callable[[Asked, tuple[str, ...], Context], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A resource that is asked by a signed POST."""

    path: re.Pattern[str]
    handler: Handler
    by: By = By.ACCOUNT


def _signed(path: str, handler: Handler, by: By = By.ACCOUNT) -> Signed:
    return Signed(path=re.compile(f"/acme/{path}"), handler=handler, by=by)


_SIGNED = (
    _signed("new-account", lambda asked, _, context: accounts.new_account(asked, context), By.KEY),
    _signed("new-order", lambda asked, _, context: orders.new_order(asked, context)),
    _signed("key-change", lambda asked, _, context: accounts.key_change(asked, context)),
    _signed("revoke-cert", lambda asked, _, context: revocations.revoke(asked, context), By.EITHER),
    _signed(f"account/{_ID}", lambda asked, at, context: accounts.account(asked, at[0], context)),
    _signed(f"account/{_ID}/orders", lambda asked, at, context: accounts.orders_of(asked, at[0], context)),
    _signed(f"order/{_ID}", lambda asked, at, context: orders.order(asked, at[0], context)),
    _signed(f"order/{_ID}/finalize", lambda asked, at, context: orders.finalize(asked, at[0], context)),
    _signed(f"authz/{_ID}", lambda asked, at, context: authorizations.authorization(asked, at[0], context)),
    _signed(f"challenge/{_ID}", lambda asked, at, context: authorizations.challenge(asked, at[0], context)),
    _signed(f"cert/{_ID}", lambda asked, at, context: orders.certificate(asked, at[0], 0, context)),
    _signed(f"cert/{_ID}/([1-9])", lambda asked, at, context: orders.certificate(asked, at[0], int(at[1]), context)),
)
_RENEWAL = re.compile(r"/acme/renewal-info/([^/]{1,200})")


class App:
    """The server as an ASGI application."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._throttle = Throttle(context.config.limits.requests)

    def use(self, context: Context) -> None:
        """From the next request on."""
        self._context = context
        self._throttle = Throttle(context.config.limits.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        answer = await self._guarded(request)
        headers = MutableHeaders()
        for name, value in answer.headers:
            headers.append(name, value)
        path = scope["path"]
        if path != "/directory":
            headers.append(*link(self._context.urls.directory, "index"))
        if request.method == "POST" or path == "/acme/new-nonce":
            headers["Replay-Nonce"] = await self._nonce()
            headers["Cache-Control"] = "no-store"
        body = answer.text.encode() if answer.document is None else json.dumps(answer.document).encode()
        if body:
            headers["Content-Type"] = answer.content_type
        response = Response(body, status_code=answer.status)
        response.raw_headers = [*response.raw_headers, *headers.raw]
        metrics.answered(path, answer.status)
        await response(scope, receive, send)

    async def _nonce(self) -> str:
        secret = await run_in_threadpool(lambda: self._context.store.nonce_secret)
        return nonces.make(secret, now=self._context.now())

    async def _guarded(self, request: Request) -> Answer:
        """The answer, whatever happens."""
        try:
            return await self._answer(request)
        except Problem as refused:
            return of_problem(refused)
        except ClientDisconnect:
            return of_problem(malformed("the request ends too early"))
        except Unavailable as later:
            _log.error("acme.unavailable", error=str(later))
            headers = {"Retry-After": "5"}
            return of_problem(Problem(Type.SERVER_INTERNAL, "try again later", status=503, headers=headers))
        except GroundplaneError as failed:
            _log.error("acme.failed", path=request.url.path, error=str(failed))
        except Exception as bug:  # noqa: BLE001 - a stranger's request must not end in a traceback
            _log.error("acme.bug", path=request.url.path, exc_info=bug)
        return of_problem(Problem(Type.SERVER_INTERNAL, "the server has failed; its log says how"))

    async def _answer(self, request: Request) -> Answer:
        client = network_of(request.client.host if request.client else "")
        if not self._throttle.admit(client, now=time.monotonic()):
            raise Problem(Type.RATE_LIMITED, "too many requests from this address", headers={"Retry-After": "1"})
        path = request.scope["path"]
        for resource in _SIGNED:
            if found := resource.path.fullmatch(path):
                _only(request, "POST")
                body = await _body(request)
                return await run_in_threadpool(self._signed, resource, found.groups(), request, body, client)
        match path:
            case "/directory":
                _only(request, "GET", "HEAD")
                return Answer(document=directory(self._context))
            case "/acme/new-nonce":
                _only(request, "GET", "HEAD")
                return Answer(status=HTTPStatus.OK if request.method == "HEAD" else HTTPStatus.NO_CONTENT)
            case _:
                if found := _RENEWAL.fullmatch(path):
                    _only(request, "GET", "HEAD")
                    return await run_in_threadpool(renewals.renewal_info, found[1], self._context)
        raise malformed("there is nothing here", status=404)

    def _signed(self, resource: Signed, at: tuple[str, ...], request: Request, body: bytes, client: str) -> Answer:
        query = request.scope["query_string"].decode("latin-1")
        url = self._context.urls.base + request.scope["path"] + (f"?{query}" if query else "")
        parameters = dict(request.query_params)
        asked = authenticate(body, url=url, by=resource.by, client=client, query=parameters, context=self._context)
        return resource.handler(asked, at, self._context)


def directory(context: Context) -> Mapping[str, object]:
    """Where everything is (RFC 8555, 7.1.1)."""
    config, urls = context.config, context.urls
    meta: dict[str, object] = {
        "termsOfService": config.terms,
        "website": config.website,
        "caaIdentities": list(config.caa_identities),
        "externalAccountRequired": config.external.required,
        "profiles": dict(config.profiles),
    }
    return {
        "newNonce": urls.of("new-nonce"),
        "newAccount": urls.of("new-account"),
        "newOrder": urls.of("new-order"),
        "revokeCert": urls.of("revoke-cert"),
        "keyChange": urls.of("key-change"),
        "renewalInfo": urls.of("renewal-info"),
        "meta": {name: value for name, value in meta.items() if value},
    }


def of_problem(problem: Problem) -> Answer:
    """A refusal as an answer."""
    headers = tuple(problem.headers.items())
    return Answer(
        status=problem.status, document=problem.document(), content_type="application/problem+json", headers=headers
    )


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        allow = {"Allow": ", ".join(methods)}
        raise Problem(Type.MALFORMED, f"use {' or '.join(methods)} here", status=405, headers=allow)


async def _body(request: Request) -> bytes:
    """The body of a signed request. Raises Problem for another type, one too large or too slow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JOSE:
        raise malformed(f"the Content-Type of a request is {_JOSE}", status=415)
    too_large = malformed(f"a request has {LARGEST_BODY} bytes at most", status=413)
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        raise too_large
    body = b""
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise too_large
    except TimeoutError as slow:
        raise malformed("the request comes too slowly", status=408) from slow
    return body
