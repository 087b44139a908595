"""Connections to those who want a certificate: only to addresses within the fence, each step with an end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from groundplane.pki.acme.addresses import Address, AddressRules
from groundplane.pki.acme.model import Identifier, IdentifierType
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.resolve import Resolver

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_READ_AT_ONCE = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom to ask for addresses, which are permitted, and how long one connection may take (seconds)."""

    resolver: Resolver
    rules: AddressRules
    within: float

    async def addresses(self, target: Identifier) -> list[Address]:
        """Where `target` is. Raises Problem if nowhere, or nowhere permitted."""
        if target.type is IdentifierType.IP:
            found: list[Address] = [ip_address(target.value)]
        else:
            found = await self.resolver.addresses(target.base)
        if not found:
            raise Problem(Type.DNS, f"{target.base} has no address in the DNS")
        permitted = [address for address in found if self.rules.permits(address)]
        if not permitted:
            raise Problem(Type.CONNECTION, f"{target.base} has no address that this server may connect to")
        return permitted

    @asynccontextmanager
    async def connect(
        self, target: Identifier, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> AsyncIterator[Streams]:
        """A connection to the first address of `target` that answers. Raises Problem."""
        streams = await self._open(target, port, tls, server_name)
        try:
            yield streams
        finally:
            streams[1].transport.abort()  # an orderly end of TLS would be up to the other side

    async def _open(self, target: Identifier, port: int, tls: ssl.SSLContext | None, name: str | None) -> Streams:
        trouble: Exception = TimeoutError()
        for address in await self.addresses(target):
            try:
                async with asyncio.timeout(self.within):
                    return await asyncio.open_connection(
                        str(address), port, ssl=tls, server_hostname=name if tls else None, limit=_READ_AT_ONCE
                    )
            except ssl.SSLError as failed:
                words = failed.reason or "it failed"
                raise Problem(Type.TLS, f"no TLS with {target.base} at {address} port {port}: {words}") from failed
            except (OSError, TimeoutError) as failed:
                trouble = failed
        words = getattr(trouble, "strerror", None) or (
            "it timed out" if isinstance(trouble, TimeoutError) else "failed"
        )
        raise Problem(Type.CONNECTION, f"no connection to {target.base} port {port}: {words}") from trouble


def any_certificate() -> ssl.SSLContext:
    """TLS 1.2 at least, whatever certificate comes: the point is to give it one that is right."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
