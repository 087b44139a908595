"""An order becomes a certificate, once: whoever goes on with a half-done one makes, or finds, the same.

The order's serial number, CSR and time are fixed in the database before anything is signed. What is signed is recorded
before it is shown. So a crash between any two steps leaves an order `processing`, and going on is safe: a certificate
with its serial number is recorded, and is the one; or none is, and nobody has seen the one that may have been signed.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Exists, Invalid
from groundplane.pki.acme.csr import Checked, check_csr, plan_content
from groundplane.pki.acme.ledger import Ledger
from groundplane.pki.acme.model import Order
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.extensions import subject_key_octets
from groundplane.pki.issuing import issue
from groundplane.pki.model import CertificateContent, Profile, SigningPolicy
from groundplane.pki.seen import is_signed_by, see
from groundplane.pki.signer import Signer


class Issuer:
    """The CA, its profiles and the database of what it issued."""

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        signer: Signer,
        *,
        policy: SigningPolicy,
        default_profile: str,
        ledger: Ledger,
        alternates: Sequence[Sequence[x509.Certificate]] = (),
        source: str = "CA",
    ) -> None:
        """`chain`: the issuer first, then those above it. Raises Invalid for alternates that are of another key."""
        self.certificate = chain[0]
        self.seen = see(chain[0], source=source)
        self.ledger = ledger
        self._signer = signer
        self._policy = policy
        self._default = default_profile
        self._chains = [_pem(chain), *(_pem(alternate) for alternate in alternates)]
        for alternate in alternates:
            if alternate[0].public_key() != chain[0].public_key() or alternate[0].subject != chain[0].subject:
                happened = "its first certificate is of another CA"
                hint = "it begins with a certificate of the same name and key, signed by another"
                raise Invalid(happened, to="alternate chain", hint=hint)

    @property
    def key_id(self) -> bytes:
        """Its subject key identifier, which its certificates carry as their authority's."""
        return subject_key_octets(self.certificate)

    def profile(self, name: str) -> Profile:
        """By name; empty for the usual one. Raises Invalid."""
        return self._policy.profile(name or self._default)

    def plan(self, checked: Checked, order: Order, *, now: datetime) -> CertificateContent:
        """What `issue` would make now. Raises Problem."""
        try:
            profile = self.profile(order.profile)
        except Invalid as gone:
            raise Problem(Type.INVALID_PROFILE, f"there is no profile {order.profile!r} any more") from gone
        return plan_content(checked, order, profile, now=now, issuer=self.seen)

    def issue(self, order: Order, *, account_key: bytes) -> str:
        """The certificate of an order in `processing`, recorded, with its chain, in PEM.

        Raises Problem, and Unavailable where a log of transparency does not take it: it may later.
        """
        assert order.serial is not None
        assert order.decided is not None
        if (found := self.ledger.find(order.serial)) is None:
            checked = check_csr(order.csr, order.identifiers, account_key=account_key)
            content = self.plan(checked, order, now=order.decided)
            certificate = self._make(content, checked, order.serial, self.profile(order.profile))
            about = {"acme_account": order.account, "acme_order": order.id}
            try:
                self.ledger.record(certificate, about=about, now=order.decided)
            except Exists:
                found = self.ledger.find(order.serial)  # another server was faster
                assert found is not None
            else:
                return certificate.public_bytes(Encoding.PEM).decode()
        return found.pem if found.pem.endswith("\n") else found.pem + "\n"

    def _make(self, content: CertificateContent, checked: Checked, serial: int, profile: Profile) -> x509.Certificate:
        ca, public_key = self.certificate, checked.public_key
        try:
            return issue(content, profile, public_key=public_key, serial=serial, issuer=ca, signer=self._signer)
        except Invalid as bad:
            raise Problem(Type.BAD_CSR, bad.happened) from bad

    @property
    def chains(self) -> int:
        """How many chains there are to choose from."""
        return len(self._chains)

    def chain(self, number: int) -> str:
        """The issuer's certificate and those above it, in PEM."""
        return self._chains[number]

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether it is this CA's, by its signature."""
        return is_signed_by(certificate, self.certificate)


def _pem(chain: Sequence[x509.Certificate]) -> str:
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in chain)
