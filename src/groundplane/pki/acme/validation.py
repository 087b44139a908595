"""One challenge is validated: right method, one deadline for all of it, and CAA where the server has identities."""

import asyncio

from groundplane.pki.acme import caa, dns01, http01, tlsalpn01
from groundplane.pki.acme.config import Validation
from groundplane.pki.acme.model import Authorization, Challenge, ChallengeType, IdentifierType
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.reach import Reach
from groundplane.pki.acme.resolve import DNSResolver, Resolver


class Validator:
    """Validates; keeps nothing between two calls."""

    def __init__(
        self, config: Validation, *, caa_identities: tuple[str, ...] = (), resolver: Resolver | None = None
    ) -> None:
        self._config = config
        self._identities = caa_identities
        self._within = config.timeout.total_seconds()
        resolver = resolver or DNSResolver(config.resolvers, within=self._within / 2)
        self._reach = Reach(resolver=resolver, rules=config.addresses, within=self._within / 2)

    async def validate(
        self, challenge: Challenge, authorization: Authorization, *, thumbprint: str, account_url: str
    ) -> Problem | None:
        """None if the account has control; else why not."""
        try:
            async with asyncio.timeout(self._within):
                await self._validate(challenge, authorization, f"{challenge.token}.{thumbprint}")
                if self._identities and authorization.identifier.type is IdentifierType.DNS:
                    await self._check_caa(challenge, authorization, account_url)
        except TimeoutError:
            seconds = f"{self._within:g} s"
            return Problem(Type.CONNECTION, f"no answer within {seconds}", identifier=authorization.identifier)
        except Problem as refused:
            refused.identifier = authorization.identifier
            return refused
        return None

    async def _validate(self, challenge: Challenge, authorization: Authorization, key_authorization: str) -> None:
        target = authorization.identifier
        match challenge.type:
            case ChallengeType.HTTP:
                ports = http01.Ports(http=self._config.http_port, https=self._config.https_port)
                await http01.validate(
                    target,
                    token=challenge.token,
                    key_authorization=key_authorization,
                    reach=self._reach,
                    ports=ports,
                )
            case ChallengeType.DNS:
                await dns01.validate(target, key_authorization=key_authorization, resolver=self._reach.resolver)
            case ChallengeType.TLS_ALPN:
                port = self._config.tls_port
                await tlsalpn01.validate(target, key_authorization=key_authorization, reach=self._reach, port=port)

    async def _check_caa(self, challenge: Challenge, authorization: Authorization, account_url: str) -> None:
        for name in caa.names_to_ask(authorization.identifier.base):
            if records := await self._reach.resolver.caa(name):
                allowed = caa.permits(
                    records,
                    wildcard=authorization.wildcard,
                    identities=self._identities,
                    account_url=account_url,
                    method=challenge.type,
                )
                if not allowed:
                    raise Problem(Type.CAA, f"the CAA records of {name} do not allow this CA")
                return
