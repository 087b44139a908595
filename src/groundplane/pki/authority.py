"""A certificate authority: a root's certificate, whoever signs with its key, and what they issue.

authority, root = Authority.create_root(parse_request(...), now=clock.now())
issued = authority.issue(parse_request(...), policy.profile("etcd"), now=clock.now())
"""

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki import keys
from groundplane.pki.certificate import make, random_serial
from groundplane.pki.issuing import issue
from groundplane.pki.model import (
    CertificatePlan,
    CertificateRequest,
    KeyAlgorithm,
    KeySpec,
    Profile,
    SeenCertificate,
)
from groundplane.pki.policy import plan_certificate, plan_root
from groundplane.pki.seen import load_certificate, see
from groundplane.pki.signer import ByteSigner, LocalSigner, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key, both PEM; the key is left out of `repr`."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    seen: SeenCertificate


class Authority:
    """Issues certificates. Holds no file and no clock: what it makes, the caller keeps."""

    def __init__(self, certificate: x509.Certificate, signer: Signer, *, source: str = "CA") -> None:
        """Raises Invalid if the signer's key is not the certificate's, or the certificate is not a CA's."""
        self.certificate = certificate
        self.seen = see(certificate, source=source)
        self._signer = signer
        theirs = certificate.public_key()
        if not isinstance(theirs, keys.PublicKey) or keys.public_bytes(theirs) != keys.public_bytes(signer.public_key):
            raise Invalid(
                "the key is not the one the CA's certificate is about", to=source, hint="give the matching key"
            )
        if not self.seen.is_ca:
            raise Invalid(
                "this is not the certificate of a CA", to=source, hint="give one that was made with a CA request"
            )

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes, *, source: str = "CA") -> "Authority":
        """An authority from its two files' contents. Raises Invalid."""
        certificate = load_certificate(certificate_pem, source=source)
        return cls(certificate, LocalSigner(keys.load_key(key_pem, source=source)), source=source)

    @classmethod
    def create_root(
        cls,
        request: CertificateRequest,
        *,
        now: datetime,
        key: keys.PrivateKey | None = None,
        serial: int | None = None,
    ) -> tuple["Authority", Issued]:
        """A new root that signs itself, with a new key unless `key` is given; blocking for as long as that takes."""
        plan = plan_root(request, now=now)
        key = own_or_new(key, plan.key, at=plan.subject)
        signer = LocalSigner(key)
        number = random_serial() if serial is None else serial
        certificate = make(plan, public_key=signer.public_key, serial=number, issuer=None, signer=signer)
        authority = cls(certificate, signer, source=request.source)
        return authority, _issued(certificate, key)

    @classmethod
    def root_of(
        cls, request: CertificateRequest, signer: ByteSigner, *, now: datetime, serial: int | None = None
    ) -> tuple["Authority", SeenCertificate]:
        """A new root for a key that is somewhere already. Raises Invalid if the request asks for another kind."""
        plan = plan_root(request, now=now)
        if (spec := keys.spec_of(signer.public_key)) != plan.key:
            happened = f"the key is {spec or 'of another kind'}, and the request asks for {plan.key}"
            raise Invalid(happened, to=request.source, hint="mend the request's key")
        number = random_serial() if serial is None else serial
        certificate = make(plan, public_key=signer.public_key, serial=number, issuer=None, signer=signer)
        authority = cls(certificate, signer, source=request.source)
        return authority, authority.seen

    def plan(self, request: CertificateRequest, profile: Profile, *, now: datetime) -> CertificatePlan:
        """What `issue` would make now."""
        return plan_certificate(request, profile, now=now, issuer=self.seen)

    def issue(
        self,
        request: CertificateRequest,
        profile: Profile,
        *,
        now: datetime,
        key: keys.PrivateKey | None = None,
        serial: int | None = None,
    ) -> Issued:
        """A new certificate, with a new key unless `key` is given. Raises Invalid, Denied, Unimplemented.

        Where the profile names logs of certificate transparency they are asked first; raises Unavailable too.
        """
        plan = self.plan(request, profile, now=now)
        key = own_or_new(key, plan.key, at=plan.subject)
        number = random_serial() if serial is None else serial
        public = key.public_key()
        made = issue(plan, profile, public_key=public, serial=number, issuer=self.certificate, signer=self._signer)
        return _issued(made, key)


def own_or_new(key: keys.PrivateKey | None, wanted: KeySpec, *, at: object) -> keys.PrivateKey:
    """`key` if it is of the kind that is `wanted`, a new one for None. Raises Invalid."""
    if key is None:
        return _generate(wanted)
    if (spec := keys.spec_of(key.public_key())) != wanted:
        happened = f"the key is {spec or 'of another kind'}, and the request asks for {wanted}"
        raise Invalid(happened, to=at, hint="mend the request's key, or leave the key out")
    return key


def _issued(certificate: x509.Certificate, key: keys.PrivateKey) -> Issued:
    return Issued(
        certificate_pem=certificate.public_bytes(Encoding.PEM), key_pem=keys.dump_key(key), seen=see(certificate)
    )


def _generate(spec: KeySpec) -> keys.PrivateKey:
    """With all cores where that helps."""
    if spec.algorithm is not KeyAlgorithm.RSA:
        return keys.generate(spec)
    from groundplane.pki.race import generate_fast

    return generate_fast(spec)
