"""CFSSL's revocation lists, from serial numbers or from rows of its store."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import CertificateRecord
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.gotext import quote
from groundplane.pki.cfssl.material import public_key_of
from groundplane.pki.crl import CrlPlan, Revoked, cfssl_list, plan_of_rows, plan_of_serials
from groundplane.pki.keys import PrivateKey, public_bytes
from groundplane.pki.signer import ByteSigner

_WEEK = timedelta(days=7)
_GO_INTEGER = re.compile(r"([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|[1-9](?:_?[0-9])*|0)")
_LIMIT = 2**31


def crl_of_rows(
    certificate: x509.Certificate,
    key: PrivateKey | ByteSigner,
    rows: Iterable[CertificateRecord],
    *,
    within: timedelta,
    now: datetime,
) -> bytes:
    """Of revoked certificates, in DER. Raises Coded."""
    return _signed(plan_of_rows(rows, now=now, lifetime=within), certificate, key)


def crl_of_serials(
    certificate: x509.Certificate, key: PrivateKey, serials: Iterable[int], *, within: timedelta, now: datetime
) -> bytes:
    """Of serial numbers that are revoked `now`, in DER. Raises Coded."""
    revoked = tuple(Revoked(serial=serial, revoked_at=now) for serial in serials)
    return _signed(CrlPlan(revoked=revoked, this_update=now, next_update=now + within), certificate, key)


def read_serials(text: str, *, now: datetime) -> tuple[int, ...]:
    """One on each line, in decimal. CFSSL takes what it cannot read for 0; here it is refused. Raises Plain."""
    try:
        plan = plan_of_serials(text, now=now, lifetime=_WEEK)
    except Invalid as bad:
        raise Plain(bad.happened) from bad
    return tuple(one.serial for one in plan.revoked)


def read_seconds(text: str) -> timedelta:
    """How long a list is good for: seconds in Go's notation; 0 and nothing are a week. Raises Plain."""
    word = text.strip()
    if not word:
        return _WEEK
    found = _GO_INTEGER.fullmatch(word)
    if found is None:
        raise Plain(f"strconv.ParseInt: parsing {quote(word)}: invalid syntax")
    digits = found[2].replace("_", "")
    number = int(digits, 8) if digits.startswith("0") and digits[1:].isdigit() else int(digits, 0)
    if found[1] == "-":
        number = -number
    if not -_LIMIT <= number < _LIMIT:
        raise Plain(f"strconv.ParseInt: parsing {quote(word)}: value out of range")
    return timedelta(seconds=number) or _WEEK


def _signed(plan: CrlPlan, certificate: x509.Certificate, key: PrivateKey | ByteSigner) -> bytes:
    # CFSSL would sign with a stranger's key, for a list that nobody could verify.
    ours = key.public_key if isinstance(key, ByteSigner) else key.public_key()
    if public_bytes(public_key_of(certificate)) != public_bytes(ours):
        raise Coded(Code.KEY_MISMATCH)
    return cfssl_list(plan, issuer=certificate, key=key)
