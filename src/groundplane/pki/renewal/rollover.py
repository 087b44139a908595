"""A root's successor with a key of its own, and the certificates that make the change harmless.

Whoever trusts only the old root believes what the new one signs through `new_by_old`; whoever trusts only the new one
believes what the old one signed through `old_by_new`. So trust can be spread first, host by host, and issuing changed
at any time after (RFC 4210, 4.4, calls them NewWithOld and OldWithNew).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki import keys
from groundplane.pki.model import KeySpec
from groundplane.pki.race import generate_fast
from groundplane.pki.renewal.reissue import reissue
from groundplane.pki.seen import same_key
from groundplane.pki.signer import LocalSigner, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """All of it, in PEM. `bundle` is both roots, for everybody's trust."""

    certificate: bytes
    key: bytes = field(repr=False)
    new_by_old: bytes
    old_by_new: bytes
    bundle: bytes


def roll_over(
    old: x509.Certificate,
    before: Signer,
    *,
    now: datetime,
    spec: KeySpec | None = None,
    lifetime: timedelta | None = None,
) -> Rollover:
    """The successor of the root `old`, for which `before` signs; `spec` None: a key of the same kind.

    Raises Invalid, Denied.
    """
    name = old.subject.rfc4514_string()
    if old.issuer != old.subject:
        raise Invalid("this is no root", to=name, hint="renew an intermediate with `groundplane pki renew`")
    if not same_key(old, before.public_key):
        raise Invalid("the key is not the one the CA's certificate is about", to=name, hint="give the matching key")
    wanted = spec or keys.spec_of(before.public_key)
    if wanted is None:
        raise Invalid("no key of its kind can be made", to=name, hint="say which kind: --key-algo, --key-size")
    new_key = generate_fast(wanted)
    after = LocalSigner(new_key)
    root = reissue(old, public_key=after.public_key, issuer=None, signer=after, now=now, lifetime=lifetime).certificate
    # Each lives as long as the one that signs it: after that nobody needs it.
    new_by_old = reissue(
        root, public_key=after.public_key, issuer=old, signer=before, now=now, lifetime=old.not_valid_after_utc - now
    ).certificate
    old_by_new = reissue(
        old, public_key=before.public_key, issuer=root, signer=after, now=now, lifetime=old.not_valid_after_utc - now
    ).certificate
    return Rollover(
        certificate=_pem(root),
        key=keys.dump_key(new_key),
        new_by_old=_pem(new_by_old),
        old_by_new=_pem(old_by_new),
        bundle=_pem(root) + _pem(old),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
