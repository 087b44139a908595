"""A transport: an identity with a fresh pair, and TLS with it. Blocking, and safe to use from several threads."""

import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from cryptography import x509

from groundplane.errors import Denied, Failed, Unavailable
from groundplane.pki import keys
from groundplane.pki.chain.fetch import Fetcher
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.chain.peer import split_address
from groundplane.pki.chain.revocation import Revocations, Standing
from groundplane.pki.csr import make_csr
from groundplane.pki.hosts import alternative_names
from groundplane.pki.load import certificate_of_der
from groundplane.pki.policy import subject_of
from groundplane.pki.race import generate_fast
from groundplane.pki.transport.authority import Authority, open_authority
from groundplane.pki.transport.model import Identity
from groundplane.pki.transport.pair import Pair, read_pair, store_pair
from groundplane.pki.transport.plan import BEFORE, due, is_due_at_start
from groundplane.pki.transport.roots import Roots, load_roots
from groundplane.system.clock import SystemClock

_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
)
_HTTPS = 443
_DIAL = 10.0  # seconds


class Transport:
    """See the module. `before`: how long before its end a certificate is replaced (see `plan`)."""

    def __init__(
        self,
        identity: Identity,
        *,
        authority: Authority,
        roots: Roots,
        client_roots: Roots | None,
        before: timedelta = BEFORE,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.identity = identity
        self.before = before
        self._authority = authority
        self._roots, self._client_roots = roots, client_roots
        self._clock = clock or SystemClock().now
        self._pair: Pair | None = None
        self._since: datetime | None = None  # when the certificate came: what is before that was never its life
        self._contexts: weakref.WeakSet[ssl.SSLContext] = weakref.WeakSet()
        self._lock = threading.RLock()

    @property
    def certificate(self) -> x509.Certificate | None:
        """The newest one."""
        return None if self._pair is None else self._pair.certificate

    def due(self) -> datetime:
        """When `refresh` should be called next; now, if there is no certificate."""
        certificate = self.certificate
        if certificate is None:
            return self._clock()
        begins = certificate.not_valid_before_utc
        since = begins if self._since is None else max(begins, self._since)
        return due(since, certificate.not_valid_after_utc, before=self.before)

    def refresh(self) -> bool:
        """Load the pair if it is not loaded, and have it signed if it is due; whether it was.

        Raises GroundplaneError; what was there is then still there.
        """
        with self._lock:
            if self._pair is None:
                self._pair = read_pair(self.identity.paths)
                found = self.certificate
                old = found is not None and is_due_at_start(
                    found.not_valid_before_utc, found.not_valid_after_utc, before=self.before, now=self._clock()
                )
                if found is not None and not old:
                    self._show()
                    return False
            elif self.certificate is not None and self.due() > self._clock():
                return False
            self._renew()
            return True

    def client_context(self) -> ssl.SSLContext:
        """For connections to others, whom it verifies and shows its certificate. Raises GroundplaneError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._roots.trust_in(context)
        return self._ready(context)

    def server_context(self, *, mutual: bool) -> ssl.SSLContext:
        """For connections from others, of whom `mutual` wants a certificate by the client roots. Raises Denied."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if mutual:
            if self._client_roots is None:
                hint = 'add "client_roots" to the identity'
                raise Denied("no client is trusted", to=self.identity.request.source, hint=hint)
            self._client_roots.trust_in(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return self._ready(context)

    def dial(self, address: str, *, soft_fail: bool = False, within: float = _DIAL) -> ssl.SSLSocket:
        """A connection to `HOST[:PORT]`, none of whose chain is revoked. Raises Unavailable, Denied.

        `soft_fail`: what cannot be found out about revocation is borne.
        """
        host, port = split_address(address, default=_HTTPS)
        context = self.client_context()
        try:
            connection = socket.create_connection((host, port), timeout=within)
            secured = context.wrap_socket(connection, server_hostname=host)
        except (OSError, ValueError) as bad:
            raise Unavailable(f"there is no TLS to be had: {bad}", to=address, hint="is it there?") from bad
        try:
            _check_revocation(_verified(secured), address, soft_fail=soft_fail)
        except BaseException:
            secured.close()
            raise
        return secured

    def _ready(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.set_ciphers(_SUITES)
        self.refresh()
        with self._lock:
            if self._pair is not None:
                self._pair.show_in(context)
            self._contexts.add(context)
        return context

    def _renew(self) -> None:
        request = self.identity.request
        pair = self._pair or Pair(key=generate_fast(request.key))
        names = alternative_names(request.hosts, source=request.source)
        csr = make_csr(pair.key, subject=subject_of(request), names=names, extensions=request.extensions)
        certificate = self._authority.sign(csr, names.texts())
        theirs = certificate.public_key()
        ours = keys.public_bytes(pair.key.public_key())
        if not isinstance(theirs, keys.PublicKey) or keys.public_bytes(theirs) != ours:
            raise Failed("the server's certificate is about another key", to=self.identity.access.remote)
        now = self._clock()
        if certificate.not_valid_after_utc <= now:
            hint = "are both clocks right, and is the profile's backdate less than its expiry?"
            raise Failed("the server's certificate has ended already", to=self.identity.access.remote, hint=hint)
        fresh = Pair(key=pair.key, certificate=certificate)
        store_pair(fresh, self.identity.paths)
        self._pair, self._since = fresh, now
        self._show()

    def _show(self) -> None:
        """In all contexts that are in use: their next connections have it."""
        assert self._pair is not None
        for context in list(self._contexts):
            self._pair.show_in(context)


def open_transport(identity: Identity, *, before: timedelta = BEFORE) -> Transport:
    """A transport, whose pair is loaded or asked for at the first `refresh`. Raises GroundplaneError."""
    return Transport(
        identity,
        authority=open_authority(identity.access),
        roots=load_roots(identity.roots),
        client_roots=load_roots(identity.client_roots) if identity.client_roots else None,
        before=before,
    )


def _verified(secured: ssl.SSLSocket) -> list[Link]:
    """The chain that was verified. Python 3.13 says it; before that, what 3.13's method calls does."""
    told: Any = getattr(secured, "get_verified_chain", None)
    if told is not None:
        found = list(told())
    else:
        inner: Any = secured._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - since 3.10, public since 3.13
        found = [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in inner.get_verified_chain() or ()]
    return [link_of(certificate_of_der(each), source="its chain") for each in found]


def _check_revocation(chain: list[Link], address: str, *, soft_fail: bool) -> None:
    revocations = Revocations(fetcher=Fetcher())
    for link, issuer in pairwise(chain):
        if not link.ocsp_urls and not link.crl_urls:
            continue  # it cannot be revoked
        finding = revocations.check(link, issuer)
        if finding.standing is Standing.REVOKED or (finding.standing is Standing.UNKNOWN and not soft_fail):
            raise Denied(f"its certificate is {finding}", to=address, hint="ask who runs it")
