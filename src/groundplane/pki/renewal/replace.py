"""A pair on disk is made new: read, have signed, put in place, each file whole or as it was.

The certificate's file may hold the chain after it; that is kept, with the CA's own certificate brought up to date. A
key is written before its certificate, so a crash between the two leaves a pair that does not match: the next run sees
that, and renews for the key that is there.
"""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Denied, Exhausted, Invalid, NotFound, WrongState, of_os
from groundplane.pki import keys
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.keystore.password import read_password
from groundplane.pki.keystore.private import KeyFormat, read_key, write_key
from groundplane.pki.operators.audit import issuing
from groundplane.pki.race import generate_fast
from groundplane.pki.remote.ask import RemoteCA
from groundplane.pki.renewal.ask import ask_again
from groundplane.pki.renewal.due import due
from groundplane.pki.renewal.model import LocalCA, Renewed, Target
from groundplane.pki.renewal.reissue import Successor, reissue
from groundplane.pki.seen import load_certificate, same_key, see
from groundplane.pki.signer import LocalSigner, Signer
from groundplane.system import files

_MOST = 16 << 20  # bytes
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What stands at a target now. `chain` is what follows the certificate in its file."""

    certificate: x509.Certificate
    key: keys.PrivateKey
    before: bytes
    chain: tuple[x509.Certificate, ...]
    rest: bytes

    @property
    def fits(self) -> bool:
        """Whether the certificate is about the key."""
        return same_key(self.certificate, self.key.public_key())


def read_pair(target: Target) -> Pair:
    """The pair. Raises NotFound, Invalid."""
    data = read_file(target.certificate)
    load_certificate(data, source=str(target.certificate))  # with the error of whoever names a wrong file
    blocks = list(_BLOCK.finditer(data))
    loaded = [load_certificate(block[0], source=str(target.certificate)) for block in blocks]
    password = read_password(target.key_password, what="the key's password") if target.key_password else None
    key = read_key(read_file(target.key), source=str(target.key), password=password)
    return Pair(
        certificate=loaded[0],
        key=key,
        before=data[: blocks[0].start()],
        chain=tuple(loaded[1:]),
        rest=data[blocks[-1].end() :],
    )


def why_now(pair: Pair, target: Target, *, now: datetime) -> str:
    """Why it is to be renewed now, or empty."""
    if not pair.fits:
        return "its key is not the one the certificate is about"
    when = due(see(pair.certificate, source=str(target.certificate)), target, now=now)
    return when.reason if when.at <= now else ""


def renew(pair: Pair, target: Target, *, now: datetime, must_gain: bool = False) -> Renewed:
    """Have it signed again and put it in place. Raises GroundplaneError; the files are then as they were.

    `must_gain`: raises WrongState where the new one would end no later than the old one, since its CA does. The audit
    and the CA's database hear of it before anybody has it.
    """
    seen = see(pair.certificate, source=str(target.certificate))
    if target.new_key and seen.is_ca:
        hint = "use `groundplane pki rollover`, which makes both trusted for a while"
        raise Denied("a CA's new key would leave all it signed without trust", to=target.certificate, hint=hint)
    if target.new_key and target.key == target.certificate:
        raise Invalid("key and certificate share one file", to=target.key, hint="split it, or keep the key")
    key = pair.key
    if target.new_key:
        spec = keys.spec_of(key.public_key())
        if spec is None:
            raise Invalid("no key of its kind can be made", to=target.key, hint="renew with the same key")
        key = generate_fast(spec)
    made, issuer = _signed(pair, target, key, now)
    fresh = made.certificate
    if must_gain and pair.fits and fresh.not_valid_after_utc <= pair.certificate.not_valid_after_utc:
        happened = f"a new one would end on {fresh.not_valid_after_utc:%F %H:%M} too, since its CA does"
        raise WrongState(happened, to=target.certificate, hint="renew the CA first")
    with issuing(fresh, event="renewed", place=str(target.certificate)):
        if isinstance(target.ca, LocalCA) and target.ca.database is not None:
            _record(fresh, target.ca.database, now)
        if target.new_key:
            replace_file(target.key, _key_file(key, target), private=True)
        replace_file(target.certificate, _file(pair, fresh, issuer), private=target.key == target.certificate)
    return Renewed(
        not_after=made.certificate.not_valid_after_utc,
        serial=made.certificate.serial_number,
        notes=made.notes,
    )


def renew_with(signer: Signer, target: Target, *, now: datetime) -> Renewed:
    """A root that signs itself with a key that stays where it is, such as in a token. Raises GroundplaneError."""
    data = read_file(target.certificate)
    old = load_certificate(data, source=str(target.certificate))
    if not same_key(old, signer.public_key):
        raise Invalid("this is not the key of the certificate", to=target.certificate, hint="name its own key")
    if old.issuer != old.subject:
        raise Invalid("another CA signed it", to=target.certificate, hint="name that CA's certificate and key")
    public = signer.public_key
    made = reissue(old, public_key=public, issuer=None, signer=signer, now=now, lifetime=target.lifetime)
    fresh = made.certificate
    written = _BLOCK.sub(lambda _: fresh.public_bytes(Encoding.PEM), data, count=1)
    with issuing(fresh, event="renewed", place=str(target.certificate)):
        replace_file(target.certificate, written, private=False)
    return Renewed(not_after=fresh.not_valid_after_utc, serial=fresh.serial_number, notes=made.notes)


def _key_file(key: keys.PrivateKey, target: Target) -> bytes:
    if not target.key_password:
        return keys.dump_key(key)
    return write_key(key, KeyFormat.ENCRYPTED, password=read_password(target.key_password, what="the key's password"))


def _record(certificate: x509.Certificate, config: Path, now: datetime) -> None:
    from groundplane.pki.certdb import CertificateDatabase, read_database_config, record_of

    database = CertificateDatabase.open(read_database_config(read_file(config), source=str(config)))
    try:
        database.insert(record_of(certificate, now=now))
    finally:
        database.close()


def replace_file(path: Path, data: bytes, *, private: bool) -> None:
    """Put `data` in place of a file, for its owner: a key 0600 whatever it was, anything else with the mode it had.

    Raises what `errors.of_os` makes of the kernel's refusals.
    """
    try:
        known = path.stat() if path.exists() else None
        if known is None:
            files.replace(path, data, mode=files.PRIVATE if private else files.PUBLIC)
            return
        mode = files.PRIVATE if private else known.st_mode & 0o777
        owner = (known.st_uid, known.st_gid) if os.geteuid() == 0 else None
        files.replace(path.resolve(), data, mode=mode, owner=owner)
    except OSError as refused:
        raise of_os(refused, to=path) from refused


def open_signer(ca: LocalCA) -> tuple[x509.Certificate, Signer]:
    """Certificate and signer of a CA. Raises NotFound, Invalid."""
    certificate = load_certificate(read_file(ca.certificate), source=str(ca.certificate))
    password = None if ca.key_password is None else read_password(f"file:{ca.key_password}", what="CA key's password")
    signer = open_ca_key(ca.key, password=password)
    if not same_key(certificate, signer.public_key):
        raise Invalid("the key is not the one the CA's certificate is about", to=ca.key, hint="name the matching key")
    return certificate, signer


def _signed(
    pair: Pair, target: Target, key: keys.PrivateKey, now: datetime
) -> tuple[Successor, x509.Certificate | None]:
    public = key.public_key()
    issuer: x509.Certificate | None = None
    signer: Signer
    match target.ca:
        case RemoteCA():
            return ask_again(pair.certificate, key, target.ca), None
        case LocalCA():
            issuer, signer = open_signer(target.ca)
            if same_key(issuer, public) and issuer.subject != pair.certificate.subject:
                happened = "this is the key of the CA that signs"
                raise Denied(happened, to=target.key, hint="name the certificate's own key")
            if issuer.subject != pair.certificate.issuer:
                happened = f"it was signed by {pair.certificate.issuer.rfc4514_string() or '(nobody)'}"
                hint = f"{target.ca.certificate} is {issuer.subject.rfc4514_string()}: name the CA that signed it"
                raise Denied(happened, to=target.certificate, hint=hint)
        case _:
            if pair.certificate.issuer != pair.certificate.subject:
                raise Invalid("another CA signed it", to=target.certificate, hint="name that CA's certificate and key")
            signer = LocalSigner(pair.key)
    made = reissue(pair.certificate, public_key=public, issuer=issuer, signer=signer, now=now, lifetime=target.lifetime)
    return made, issuer


def _file(pair: Pair, fresh: x509.Certificate, issuer: x509.Certificate | None) -> bytes:
    chain = [issuer if issuer is not None and issuer.subject == one.subject else one for one in pair.chain]
    return pair.before + b"".join(one.public_bytes(Encoding.PEM) for one in (fresh, *chain)) + pair.rest


def read_file(path: Path) -> bytes:
    """A file's content. Raises NotFound, Exhausted for more than any pair has."""
    try:
        with path.open("rb") as source:
            data = source.read(_MOST + 1)
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
    if len(data) > _MOST:
        raise Exhausted(f"it has more than {_MOST >> 20} MiB", to=path, hint="is it the right file?")
    return data
