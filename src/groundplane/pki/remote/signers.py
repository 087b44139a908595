"""Signers that ask a remote, for all profiles or for some. See `groundplane.pki.cfssl.signers`."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from groundplane.pki.cfssl.config import Config
from groundplane.pki.cfssl.errors import Code, Coded
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.signers import Info, LocalSigners, SignRequest
from groundplane.pki.cfssl.tokens import read_key
from groundplane.pki.remote.client import Client, open_client
from groundplane.pki.remote.tls import ClientTLS, client_context, context_of
from groundplane.pki.remote.wire import info_json, request_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSigners:
    """Every request goes to `forced`, or else where its profile says; with a token where its profile has a key."""

    config: Config | None
    forced: str
    tls: Callable[[], ssl.SSLContext] = field(repr=False)
    journal: Journal = field(repr=False)
    keys: Mapping[str, bytes] = field(repr=False)

    def sign(self, request: SignRequest) -> str:
        """By the remote's own policy. Raises CfsslError."""
        return self._client(request.profile).sign(request_json(request), key=self._key(request.profile))

    def info(self, *, label: str, profile: str) -> Info:
        """Who would sign there; nobody needs a token to know. Raises CfsslError."""
        return self._client(profile).info(info_json(label=label, profile=profile))

    def _client(self, profile: str) -> Client:
        address = self.forced
        if not address:
            assert self.config is not None
            found = self.config.remote(profile)
            if found is None:
                raise Coded(Code.REQUEST_REFUSED, "failed to connect to remote")
            address = found.address
        return open_client(address, tls=self.tls, journal=self.journal)

    def _key(self, profile: str) -> bytes | None:
        known = self.config is not None and profile in self.config.profiles
        return self.keys.get(profile if known else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSigners:
    """Some profiles are signed here, others at remotes; one that is not known is refused (5400)."""

    local: LocalSigners
    remote: RemoteSigners
    config: Config

    def sign(self, request: SignRequest) -> str:
        """By whom the profile says. Raises CfsslError."""
        return self._for(request.profile).sign(request)

    def info(self, *, label: str, profile: str) -> Info:
        """Who that is. Raises CfsslError."""
        return self._for(profile).info(label=label, profile=profile)

    def _for(self, profile: str) -> LocalSigners | RemoteSigners:
        if profile and profile not in self.config.profiles:
            raise Coded(Code.PROFILE_UNKNOWN)
        return self.local if self.config.remote(profile) is None else self.remote


def open_remote(forced: str, *, config: Config | None, tls: ClientTLS | None, journal: Journal) -> RemoteSigners:
    """`forced` is -remote, or empty. Raises CfsslError for files or keys that cannot be read."""
    return RemoteSigners(
        config=config, forced=forced, tls=contexts(tls, journal), journal=journal, keys=_remote_keys(config)
    )


def contexts(tls: ClientTLS | None, journal: Journal, *, told: bool = True) -> Callable[[], ssl.SSLContext]:
    """Makes the one context when it is first needed; files that were named are read now. Raises Plain."""
    if tls is not None and (tls.trust or tls.shows):
        ready = context_of(tls, journal, told=told)
        return lambda: ready
    return lru_cache(maxsize=1)(lambda: client_context(ClientTLS()))


def _remote_keys(config: Config | None) -> dict[str, bytes]:
    """By profile, the key of its tokens; "" is the default's. Raises Coded."""
    if config is None:
        return {}
    written = {name: config.remote_key(name) for name in ("", *config.profiles)}
    return {name: read_key(text) for name, text in written.items() if text}
