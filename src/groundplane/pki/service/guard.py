"""Before the API: a name for each request, and whether its caller may make it (401, 403)."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from traceback import format_exc
from typing import Any

from groundplane.pki.operators.log import REQUEST_ID, JsonJournal, request_id
from groundplane.pki.server import envelope
from groundplane.pki.server.app import Receive, Scope, Send
from groundplane.pki.server.model import PEER, PREFIX, Answer, Refused
from groundplane.pki.service.access import allowed
from groundplane.pki.service.model import CALLER, Caller, Service

_BEARER = "bearer "
_UNAUTHORIZED, _FORBIDDEN = 401, 403


class Guard:
    """An ASGI application around another. `refused` is told of each call that was not let through."""

    def __init__(
        self,
        inner: Any,
        service: Service,
        *,
        journal: JsonJournal,
        refused: Callable[[str, int], None],
        flush: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._service = service
        self._journal = journal
        self._refused = refused
        self._flush = flush

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        name = request_id(headers.get(b"x-request-id", ""))
        token = REQUEST_ID.set(name)
        has_begun = False

        async def answer(message: dict[str, Any]) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = {**message, "headers": [*message["headers"], (b"x-request-id", name.encode())]}
            await send(message)

        try:
            path: str = scope["path"]
            caller = caller_of(headers.get(b"authorization", ""), scope.get(PEER, b""))
            if path.startswith(PREFIX) and not self._may(path.removeprefix(PREFIX), caller):
                await self._refuse(path.removeprefix(PREFIX), caller, answer)
                return
            CALLER.set(caller)
            await self._inner(scope, receive, answer)
        except Exception as mistake:
            words = f"{type(mistake).__name__}: {mistake}"
            self._journal.trouble("internal error", path=scope["path"], error=words, traceback=format_exc())
            self._flush()
            if has_begun:
                raise  # only the end of the connection can tell the caller
            await _send(envelope.broken(), answer)
        finally:
            REQUEST_ID.reset(token)

    def _may(self, endpoint: str, caller: Caller) -> bool:
        return allowed(self._service.rules, endpoint, caller, mutual=self._service.settings.mutual)

    async def _refuse(self, endpoint: str, caller: Caller, send: Send) -> None:
        is_unknown = caller == Caller()
        status = _UNAUTHORIZED if is_unknown else _FORBIDDEN
        text = "show who you are: a client certificate or a token" if is_unknown else f"you may not call {endpoint}"
        made = envelope.failure(Refused(status, text))
        self._journal.event("refused", endpoint=endpoint, caller=caller.word, status=status)
        self._refused(endpoint, status)
        await _send(made, send, *([(b"www-authenticate", b"Bearer")] if is_unknown else []))
        self._flush()


async def _send(made: Answer, send: Send, *more: tuple[bytes, bytes]) -> None:
    headers = [*made.headers, (b"content-length", str(len(made.body)).encode()), *more]
    await send({"type": "http.response.start", "status": made.status, "headers": headers})
    await send({"type": "http.response.body", "body": made.body})


def caller_of(authorization: str, certificate: bytes) -> Caller:
    """Who a request comes from."""
    token = authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""
    return Caller(
        names=_names(certificate) if certificate else None,
        token=hashlib.sha256(token.encode("latin-1")).digest() if token else None,
    )


@lru_cache(maxsize=1024)
def _names(der: bytes) -> frozenset[str]:
    """Common name and alternative names of a client that TLS has let in."""
    from groundplane.errors import Invalid
    from groundplane.pki.load import certificate_of_der
    from groundplane.pki.seen import see

    try:
        seen = see(certificate_of_der(der))
    except (ValueError, Invalid):
        return frozenset()
    return frozenset(filter(None, (seen.subject.common_name, *seen.names.texts())))
