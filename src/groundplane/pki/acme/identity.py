"""The server's own certificate: issued by its own CA, kept in its state directory, renewed when it is due."""

import ssl

from groundplane.observe.log import logger
from groundplane.pki.acme.config import Config
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.authority import Authority
from groundplane.pki.files import PairPaths, observe_pair, write_pair
from groundplane.pki.lifecycle import Issue, assess
from groundplane.pki.model import CertificatePlan, CertificateRequest
from groundplane.pki.policy import tls_profile
from groundplane.pki.seen import load_certificate
from groundplane.system.clock import Clock

_LONGEST_COMMON_NAME = 64  # RFC 5280's upper bound
_log = logger("acme")


class Identity:
    """The pair on disk, and the TLS context that shows it; a new pair is shown to the next connection."""

    def __init__(self, config: Config, issuer: Issuer, authority: Authority, clock: Clock) -> None:
        self._paths = PairPaths.named(config.state, "tls")
        self._clock = clock
        self.use(config, issuer, authority)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])

    def use(self, config: Config, issuer: Issuer, authority: Authority) -> None:
        """What the next `ensure` goes by."""
        self._issuer = issuer
        self._authority = authority
        self._profile = tls_profile(issuer.profile(config.tls_profile))
        first = config.names[0] if len(config.names[0]) <= _LONGEST_COMMON_NAME else ""
        self._request = CertificateRequest(common_name=first, hosts=config.names, source="names")

    def ensure(self) -> bool:
        """Issue a new certificate if there is none, or it is due. Whether it was."""
        now = self._clock.now()
        wanted = self.plan()
        existing = observe_pair(self._paths, issuer=self._authority.certificate)
        verdict = assess(existing, wanted, now=now)
        if isinstance(verdict, Issue):
            issued = self._authority.issue(self._request, self._profile, now=now)
            self._record(issued.certificate_pem)
            chain = issued.certificate_pem + self._issuer.chain(0).encode()
            write_pair(self._paths, certificate_pem=chain, key_pem=issued.key_pem)
            _log.info("acme.identity", reason=verdict.reason, until=f"{issued.seen.not_after:%F %T}")
        self.context.load_cert_chain(self._paths.certificate, self._paths.key)
        return isinstance(verdict, Issue)

    def plan(self) -> CertificatePlan:
        """What a new one would be. Raises Invalid, Denied."""
        return self._authority.plan(self._request, self._profile, now=self._clock.now())

    def _record(self, pem: bytes) -> None:
        certificate = load_certificate(pem, source="the server's own certificate")
        self._issuer.ledger.record(certificate, about={"acme": "the server's own"}, now=self._clock.now())
