"""A content becomes a certificate as its profile wants it: rules are asked first, logs hear of it before it is made.

Whoever issues natively does so here; CFSSL's programs tell the same story in CFSSL's words (`cfssl.sign`).
"""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.certificate import make, make_der
from groundplane.pki.fitness import refuse_irregular
from groundplane.pki.keys import PublicKey
from groundplane.pki.model import CertificateContent, Profile
from groundplane.pki.signer import Signer


def issue(
    content: CertificateContent,
    profile: Profile,
    *,
    public_key: PublicKey,
    serial: int,
    issuer: x509.Certificate,
    signer: Signer,
) -> x509.Certificate:
    """Signed; blocking for as long as the profile's logs take (half a minute each at most).

    Raises Invalid, and Unavailable for a log that does not take it.
    """
    refuse_irregular(content, at=f"the request for {content.subject}", profile=f"{profile.at}.usages")

    def fit(draft: CertificateContent) -> None:
        if profile.lint is not None:
            from groundplane.pki.lint.before import refuse_unfit

            refuse_unfit(draft, profile.lint, public_key=public_key, serial=serial, issuer=issuer)

    def precertificate(draft: CertificateContent) -> bytes:
        fit(draft)
        return make_der(draft, public_key=public_key, serial=serial, issuer=issuer, signer=signer)

    if profile.ct_logs:
        from groundplane.pki.ct.embed import told_to_logs

        above = issuer.public_bytes(Encoding.DER)
        content = told_to_logs(content, profile.ct_logs, issuer=above, make=precertificate)
    fit(content)
    return make(content, public_key=public_key, serial=serial, issuer=issuer, signer=signer)
