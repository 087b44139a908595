"""Questions to the DNS, each with an end: addresses, TXT and CAA records, of the servers that the operator named.

Names are asked for as they stand: no search list, no hosts file. Every failure is a Problem of type dns.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.TXT
import dns.resolver

from groundplane.errors import NotFound
from groundplane.pki.acme.addresses import Address
from groundplane.pki.acme.caa import Record
from groundplane.pki.acme.config import Endpoint
from groundplane.pki.acme.problem import Problem, Type

_MOST_ADDRESSES = 8
_ADDRESSES = frozenset({dns.rdatatype.A, dns.rdatatype.AAAA})


class Resolver(Protocol):
    """Who is asked. An empty answer means that there is no such record; a name that does not exist has none."""

    async def addresses(self, name: str) -> list[Address]:
        """A and AAAA, IPv6 first."""

    async def texts(self, name: str) -> list[bytes]:
        """TXT; the strings of one record joined."""

    async def caa(self, name: str) -> list[Record]:
        """CAA of this very name."""


class DNSResolver:
    """The real DNS. `servers` empty: those of the host's resolv.conf."""

    def __init__(self, servers: Iterable[Endpoint], *, within: float) -> None:
        nameservers = [dns.nameserver.Do53Nameserver(server.host, server.port) for server in servers]
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration as none:
            hint = 'name DNS servers in "validation": {"resolvers": ["10.0.0.53"]}'
            raise NotFound("there is no DNS server to ask", to="resolv.conf", hint=hint) from none
        if nameservers:
            self._resolver.nameservers = list(nameservers)
        self._resolver.lifetime = within
        self._resolver.timeout = within / 2
        self._resolver.cache = None  # a client that has just written its record must not meet yesterday's answer

    async def addresses(self, name: str) -> list[Address]:
        """A and AAAA, IPv6 first."""
        found: list[Address] = []
        for kind in ("AAAA", "A"):
            found += [
                ip_address(record.to_text()) for record in await self._ask(name, kind) if record.rdtype in _ADDRESSES
            ]
        return found[:_MOST_ADDRESSES]

    async def texts(self, name: str) -> list[bytes]:
        """TXT; the strings of one record joined."""
        records = await self._ask(name, "TXT")
        return [b"".join(record.strings) for record in records if isinstance(record, dns.rdtypes.ANY.TXT.TXT)]

    async def caa(self, name: str) -> list[Record]:
        """CAA of this very name."""
        records = [r for r in await self._ask(name, "CAA") if isinstance(r, dns.rdtypes.ANY.CAA.CAA)]
        return [
            Record(critical=bool(r.flags & 128), tag=r.tag.decode("ascii", "replace").lower(), value=_text(r.value))
            for r in records
        ]

    async def _ask(self, name: str, kind: str) -> Iterable[dns.rdata.Rdata]:
        try:
            return await self._resolver.resolve(dns.name.from_text(name), kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError) as failed:
            detail = f"the DNS does not answer for {kind} of {name}: {type(failed).__name__}"
            raise Problem(Type.DNS, detail) from failed


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
