"""A certificate from another CFSSL, for a command of our own: asked with a request, checked when it comes."""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from groundplane.errors import Failed
from groundplane.pki.keys import PublicKey
from groundplane.pki.keystore.password import secret_in
from groundplane.pki.seen import load_certificate, same_key


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCA:
    """A CFSSL server. `address`: as after -remote; `trust`, `certificate`, `key`: for its TLS.

    `auth_key`: `env:NAME`, `file:PATH` or the key itself in hex, as in a policy; empty: no token.
    """

    address: str
    profile: str = ""
    label: str = ""
    auth_key: str = field(default="", repr=False)
    trust: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def ask(
    remote: RemoteCA, csr_pem: bytes, public_key: PublicKey, *, hosts: tuple[str, ...] | None = None
) -> x509.Certificate:
    """What the server makes of a request for `public_key`; `hosts` take the place of its names.

    Blocking, for half a minute at most. Raises Failed in the server's words, Invalid.
    """
    from groundplane.pki.cfssl.errors import CfsslError
    from groundplane.pki.cfssl.journal import Journal
    from groundplane.pki.cfssl.signers import SignRequest
    from groundplane.pki.cfssl.tokens import read_key
    from groundplane.pki.remote import ClientTLS, open_client, request_json
    from groundplane.pki.remote.signers import contexts
    from groundplane.system.clock import SystemClock

    if remote.auth_key.startswith("file:"):
        secret_in(Path(remote.auth_key.removeprefix("file:")), what="key")  # as with all that is secret
    journal = Journal(write=lambda _: None, clock=SystemClock().now)  # what counts of it is in the error
    tls = ClientTLS(trust=str(remote.trust or ""), certificate=str(remote.certificate or ""), key=str(remote.key or ""))
    try:
        client = open_client(remote.address, tls=contexts(tls, journal, told=False), journal=journal)
        request = SignRequest(
            csr_pem=csr_pem, hosts=hosts, profile=remote.profile, label=remote.label, metadata=_once(time.time())
        )
        token_key = read_key(remote.auth_key) if remote.auth_key else None
        pem = client.sign(request_json(request), key=token_key)
    except CfsslError as refused:
        hint = "is it there, and may we ask it for this?"
        raise Failed(f"the server did not sign: {refused}", to=remote.address, hint=hint) from refused
    fresh = load_certificate(pem.encode(), source=remote.address)
    if not same_key(fresh, public_key):
        raise Failed("the server's certificate is about another key", to=remote.address, hint="ask who runs it")
    return fresh


def _once(now: float) -> dict[str, object]:
    """What lets a server see that it was asked for the first time (`service.replay`); CFSSL's pass it over."""
    return {"timestamp": int(now), "nonce": secrets.token_hex(16)}
