"""The calls to a remote CFSSL: sign, authsign, info. Every failure has the code and the words of CFSSL's client."""

import base64
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.gojson import Object, parse
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.signers import Info
from groundplane.pki.cfssl.tokens import token_of
from groundplane.pki.remote.address import Address, parse_addresses
from groundplane.pki.remote.post import WHOLE, Cut, Failed, Reply, Target, post
from groundplane.pki.remote.wire import plain

_OK = 200
T = TypeVar("T")
_Result = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One server, or several that are asked in order until one answers; the last one's refusal counts."""

    addresses: tuple[Address, ...]
    journal: Journal = field(repr=False)
    tls: Callable[[], ssl.SSLContext] = field(repr=False)
    within: float = WHOLE
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def sign(self, request: bytes, *, key: bytes | None = None) -> str:
        """A certificate in PEM for a request in JSON; with `key` as authsign. Raises CfsslError."""
        if key is None:
            return self._first(lambda address: self._sign(address, request))
        return self._first(lambda address: self._authsign(address, request, key))

    def info(self, request: bytes) -> Info:
        """Who would sign. Raises CfsslError."""
        return self._first(lambda address: self._info(address, request))

    def _first(self, ask: Callable[[Address], T]) -> T:
        refused: CfsslError = Coded(Code.REQUEST_REFUSED, "failed to connect to remote")
        for address in self.addresses:
            try:
                return ask(address)
            except CfsslError as bad:
                refused = bad
        raise refused

    def _sign(self, address: Address, request: bytes) -> str:
        result = self._call(address, "sign", request)
        if result is None:
            raise Coded(Code.CLIENT_HTTP, "response is formatted improperly")
        certificate = result.get("certificate")
        if not isinstance(certificate, str) or not certificate:
            raise Coded(Code.CLIENT_HTTP, "response doesn't contain certificate.")
        return certificate

    def _authsign(self, address: Address, request: bytes, key: bytes) -> str:
        body = {
            "timestamp": int(self.clock()),
            "token": base64.b64encode(token_of(key, request)).decode(),
            "request": base64.b64encode(request).decode(),
        }
        result = self._call(address, "authsign", compact(body).encode())
        certificate = None if result is None else result.get("certificate")
        if not isinstance(certificate, str):
            raise Coded(Code.CLIENT_JSON)
        return certificate

    def _info(self, address: Address, request: bytes) -> Info:
        result = self._call(address, "info", request)
        if result is None:
            raise Coded(Code.CLIENT_HTTP, "response is formatted improperly")
        certificate, usages, expiry = (result.get(name) for name in ("certificate", "usages", "expiry"))
        if not isinstance(certificate, str | None) or not isinstance(expiry, str | None):
            raise Coded(Code.CLIENT_HTTP, "response is formatted improperly")
        return Info(
            certificate=certificate or "",
            usages=tuple(map(str, usages)) if isinstance(usages, list) else (),
            expiry=expiry or "",
        )

    def _call(self, address: Address, endpoint: str, body: bytes) -> _Result | None:
        """The result; None for one that is no object. Raises Coded."""
        url = address.url(endpoint)
        try:
            reply = self._post(address, url, body)
        except Failed as bad:
            raise Coded(Code.CLIENT_HTTP, f'failed POST to {url}: Post "{url}": {bad}') from bad
        except Cut as bad:
            raise Coded(Code.CLIENT_IO, str(bad)) from bad
        if reply.status != _OK:
            self.journal.error(f"http error with {url}")
            raise Coded(Code.CLIENT_HTTP, reply.body.decode(errors="replace"))
        return self._result(reply)

    def _post(self, address: Address, url: str, body: bytes) -> Reply:
        split = urlsplit(url)
        target = Target(
            host=address.host,
            port=address.port,
            host_header=address.shown,
            path=split.path,
            tls=self.tls() if address.secure else None,
        )
        return post(target, body, within=self.within)

    def _result(self, reply: Reply) -> _Result | None:
        try:
            answer = parse(reply.body)
        except Plain as bad:
            raise Coded(Code.CLIENT_JSON, str(bad)) from bad
        if not isinstance(answer, Object):
            raise Coded(Code.CLIENT_JSON, "json: cannot unmarshal into Go value of type api.Response")
        fields = {name.casefold(): value for name, value in answer.pairs}
        result = fields.get("result")
        if fields.get("success") is not True or result is None:
            raise Coded(Code.CLIENT_REFUSED, _first_error(fields.get("errors")))
        found = plain(result)
        return found if isinstance(found, dict) else None


def _first_error(errors: object) -> str:
    """The message of the first error, or nothing."""
    first = errors[0] if isinstance(errors, list) and errors else None
    fields = {name.casefold(): value for name, value in first.pairs} if isinstance(first, Object) else {}
    message = fields.get("message")
    return message if isinstance(message, str) else ""


def open_client(
    addresses: str, *, tls: Callable[[], ssl.SSLContext], journal: Journal, within: float = WHOLE
) -> Client:
    """A client for what -remote says. Raises Coded as CFSSL does for an address that is none."""
    try:
        parsed = parse_addresses(addresses)
    except Invalid as bad:
        journal.error(f"bad url: {bad}")
        raise Coded(Code.REQUEST_REFUSED, "failed to connect to remote") from bad
    return Client(addresses=parsed, tls=tls, journal=journal, within=within)
