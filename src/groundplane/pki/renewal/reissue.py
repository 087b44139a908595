"""The successor of a certificate: the same names, usages and whatever else it said, for a new span of time.

Extensions are taken over byte for byte, also those that groundplane does not know. Replaced are the two key
identifiers; left out are the timestamps of certificate transparency logs, which are about the old one.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from groundplane.errors import Denied, Invalid
from groundplane.pki.certificate import random_serial
from groundplane.pki.extensions import extension_in, extensions_of, raw_extensions
from groundplane.pki.keys import PublicKey
from groundplane.pki.policy import BACKDATE, round_to_minute
from groundplane.pki.signer import Signer

_DROPPED = frozenset({ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, ExtensionOID.PRECERT_POISON})
_SHARE = 20  # a certificate begins in the past by a twentieth of its life at most: clocks differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """The new certificate, and what somebody should know about it."""

    certificate: x509.Certificate
    notes: tuple[str, ...] = ()


def reissue(
    old: x509.Certificate,
    *,
    public_key: PublicKey,
    issuer: x509.Certificate | None,
    signer: Signer,
    now: datetime,
    lifetime: timedelta | None = None,
) -> Successor:
    """`old` again, for `public_key`; `issuer` None lets it sign itself. `lifetime` None: as long as `old`'s.

    It ends no later than its issuer, for then nobody would believe it. Raises Invalid for what cannot be made, Denied
    if the issuer has ended or may not sign.
    """
    span = old.not_valid_after_utc - old.not_valid_before_utc if lifetime is None else lifetime
    if span <= timedelta(minutes=1):
        raise Invalid("its lifetime is too short", to=old.subject.rfc4514_string(), hint="give a longer one")
    start = round_to_minute(now) - min(BACKDATE, span / _SHARE)
    end = start + span
    notes: tuple[str, ...] = ()
    if issuer is not None:
        _check_issuer(issuer, now)
        start = max(start, issuer.not_valid_before_utc)
        if end > issuer.not_valid_after_utc:
            end = issuer.not_valid_after_utc
            notes = (f"it ends with its CA, on {end:%F %H:%M}: renew the CA",)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(random_serial())
        .not_valid_before(start)
        .not_valid_after(end.replace(microsecond=0))
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd names are taken over as they are
            for extension, critical in _extensions(old, public_key, issuer):
                builder = builder.add_extension(extension, critical=critical)
            return Successor(certificate=signer.sign(builder), notes=notes)
    except (ValueError, x509.DuplicateExtension) as bad:
        raise Invalid(
            f"it cannot be made again: {bad}", to=old.subject.rfc4514_string(), hint="issue a new one"
        ) from bad


def _check_issuer(issuer: x509.Certificate, now: datetime) -> None:
    name = issuer.subject.rfc4514_string()
    if issuer.not_valid_after_utc <= now:
        ended = f"{issuer.not_valid_after_utc:%F}"
        raise Denied(f"this CA ended on {ended}", to=name, hint="renew the CA first (`groundplane pki renew`)")
    constraints = extension_in(extensions_of(issuer), x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise Denied("this is no CA", to=name, hint="name the certificate that signed it")


def _extensions(
    old: x509.Certificate, public_key: PublicKey, issuer: x509.Certificate | None
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    seen = set()
    for extension in raw_extensions(old):
        oid = x509.ObjectIdentifier(extension.oid)
        if oid in _DROPPED:
            continue
        seen.add(oid)
        if oid == ExtensionOID.SUBJECT_KEY_IDENTIFIER:
            yield x509.SubjectKeyIdentifier.from_public_key(public_key), extension.critical
        elif oid == ExtensionOID.AUTHORITY_KEY_IDENTIFIER:
            if (authority := _authority(public_key, issuer)) is not None:
                yield authority, False
        else:
            yield x509.UnrecognizedExtension(oid, extension.value), extension.critical
    if issuer is None or ExtensionOID.AUTHORITY_KEY_IDENTIFIER in seen:
        return
    if (authority := _authority(public_key, issuer)) is not None:
        yield authority, False


def _authority(public_key: PublicKey, issuer: x509.Certificate | None) -> x509.AuthorityKeyIdentifier | None:
    """The issuer's own identifier, or that of its key; a root that signs itself names its own."""
    if issuer is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    theirs = extension_in(extensions_of(issuer), x509.SubjectKeyIdentifier)
    return None if theirs is None else x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs)
