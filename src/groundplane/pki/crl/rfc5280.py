"""CRLs as RFC 5280 wants them, of one issuer's certificates; and CFSSL's, which know neither number nor reason."""

from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import CertificateRecord
from groundplane.pki.crl.build import build, key_name
from groundplane.pki.crl.model import CrlPlan, Scope
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.keys import PrivateKey, PublicKey, public_bytes
from groundplane.pki.seen import is_signed_by, load_certificate, see
from groundplane.pki.signer import ByteSigner, LocalSigner


def signed_list(plan: CrlPlan, *, issuer: x509.Certificate, signer: ByteSigner) -> bytes:
    """The list in DER. Raises Invalid for an issuer that may not sign it, or whose key is another."""
    if plan.number is None:
        raise Invalid("a list needs a number", to="CRL", hint="give it one that is greater than the last")
    if plan.next_update.replace(microsecond=0) <= plan.this_update.replace(microsecond=0):
        raise Invalid("the list would run out as it begins", to="CRL", hint="give a longer lifetime")
    usage = extension_in(extensions_of(issuer), x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        hint = 'issue it with the usage "crl sign"'
        raise Invalid("its key may not sign lists", to="CA certificate", hint=hint)
    theirs = issuer.public_key()
    if not isinstance(theirs, PublicKey) or public_bytes(signer.public_key) != public_bytes(theirs):
        raise Invalid("the key is not the one of the certificate", to="CA key", hint="give the key that belongs to it")
    return build(
        plan, issuer=issuer, public_key=signer.public_key, digest_bits=signer.digest_bits, sign=signer.sign_bytes
    )


def cfssl_list(plan: CrlPlan, *, issuer: x509.Certificate, key: PrivateKey | ByteSigner) -> bytes:
    """CFSSL's: SHA-256 for any RSA key; no reasons, no key identifier where `issuer` has none."""
    plain = CrlPlan(
        revoked=tuple(type(one)(serial=one.serial, revoked_at=one.revoked_at) for one in plan.revoked),
        this_update=plan.this_update,
        next_update=plan.next_update,
    )
    signer = key if isinstance(key, ByteSigner) else LocalSigner(key)
    bits, sign = signer.digest_bits, signer.sign_bytes
    if isinstance(key, rsa.RSAPrivateKey):
        bits, sign = 256, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return build(plain, issuer=issuer, public_key=signer.public_key, digest_bits=bits, sign=sign, must_name_key=False)


def issued_by(rows: Iterable[CertificateRecord], issuer: x509.Certificate) -> Iterator[CertificateRecord]:
    """Those of `rows` that `issuer` signed. Where a row does not say (CFSSL 1.2.0), its certificate does."""
    mine = key_name(issuer, must=True).hex()
    for row in rows:
        if row.authority_key_id == mine:
            yield row
        elif not row.authority_key_id:
            certificate = load_certificate(row.pem.encode(), source=f"serial {row.serial}")
            if is_signed_by(certificate, issuer):
                yield row


def in_scope(rows: Iterable[CertificateRecord], scope: Scope) -> Iterator[CertificateRecord]:
    """Those that a list of this scope is about."""
    for row in rows:
        if scope is Scope.ALL:
            yield row
            continue
        certificate = load_certificate(row.pem.encode(), source=f"serial {row.serial}")
        if see(certificate, source=f"serial {row.serial}").is_ca == (scope is Scope.CA):
            yield row
