"""Who signs requests for CFSSL's programs: a CA here, one at a remote, or one or the other by profile.

With -remote every profile goes there; otherwise each goes where the policy says. What a profile says beside that counts
only here: a remote signs by its own policy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from cryptography import x509

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.builtin import BUILTIN
from groundplane.pki.cfssl.config import Config
from groundplane.pki.cfssl.errors import Code, Coded
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_certificate, pem_of
from groundplane.pki.cfssl.sign import Issuer, open_issuer
from groundplane.pki.model import Profile, RawExtension
from groundplane.pki.name import Subject

if TYPE_CHECKING:
    from groundplane.pki.certdb import CertificateDatabase
    from groundplane.pki.remote.tls import ClientTLS
    from groundplane.pki.signer import ByteSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRequest:
    """A request, and everything that may be said beside it. `hosts` None: the request's own names."""

    csr_pem: bytes
    hosts: tuple[str, ...] | None = None
    subject: Subject | None = None
    profile: str = ""
    label: str = ""
    serial: int | None = None
    crl_override: str = ""
    extensions: tuple[RawExtension, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    return_precert: bool = False
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """Who would sign, and how; `certificate` is PEM, the rest as the policy's file has it."""

    certificate: str
    usages: tuple[str, ...] | None
    expiry: str


class Signers(Protocol):
    """Signs with whoever the profile is for."""

    @property
    def config(self) -> Config | None:
        """The policy; None is CFSSL's own."""

    def sign(self, request: SignRequest) -> str:
        """The certificate, in PEM. Raises CfsslError."""

    def info(self, *, label: str, profile: str) -> Info:
        """Who would sign. Raises CfsslError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSigners:
    """A CA's certificate and key; what it signs goes into `database`, if there is one."""

    issuer: Issuer
    config: Config | None = None
    database: "CertificateDatabase | None" = field(default=None, repr=False)

    def sign(self, request: SignRequest) -> str:
        """Recorded before it is handed out; a precertificate is not. Raises CfsslError."""
        made = self.issuer.sign(
            request.csr_pem,
            self._profile(request.profile),
            hosts=request.hosts,
            subject=request.subject,
            crl_url=request.crl_override,
            serial=request.serial,
            extensions=request.extensions,
            not_before=request.not_before,
            not_after=request.not_after,
            return_precert=request.return_precert,
        )
        if self.database is not None and not request.return_precert:
            self._record(self.database, made, request)
        return made

    def info(self, *, label: str, profile: str) -> Info:  # noqa: ARG002 - there is one CA, whatever its label
        """The CA and the profile, or the default's. Raises CfsslError."""
        assert self.issuer.certificate is not None
        written: Mapping[str, object] = {"usages": list(BUILTIN.usages), "expiry": "8760h"}
        if self.config is not None:
            self._profile(profile)
            written = self.config.written(profile)
        usages, expiry = written.get("usages"), written.get("expiry", "")
        return Info(
            certificate=pem_of(self.issuer.certificate).rstrip("\n"),
            usages=tuple(map(str, usages)) if isinstance(usages, list) else None,
            expiry=str(expiry),
        )

    def _profile(self, name: str) -> Profile:
        return BUILTIN if self.config is None else self.config.profile(name)

    def _record(self, database: "CertificateDatabase", pem: str, request: SignRequest) -> None:
        from groundplane.pki.certdb import record_of

        certificate = x509.load_pem_x509_certificate(pem.encode())
        record = record_of(certificate, label=request.label, metadata=request.metadata, now=self.issuer.clock())
        try:
            database.insert(record)
        except GroundplaneError as bad:
            raise Coded(Code.STORE_UNKNOWN, getattr(bad, "words", "") or str(bad)) from bad
        self.issuer.journal.debug(f"saved certificate with serial number {record.serial}")


def open_signers(
    *,
    ca: bytes | None,
    ca_key: bytes | None,
    config: Config | None,
    clock: Callable[[], datetime],
    journal: Journal,
    password: bytes = b"",
    signer: "ByteSigner | None" = None,
    remote: str = "",
    tls: "ClientTLS | None" = None,
    database: "CertificateDatabase | None" = None,
    capped: bool = False,
) -> Signers:
    """From the contents of the files of -ca and -ca-key, which a policy for remotes does not need. Raises CfsslError.

    `signer` in place of a key: one that is elsewhere. `remote` is -remote, `tls` for remotes. What they sign is theirs
    to record: `database` has what is signed here. `capped`: see `Issuer`.
    """
    needs_remote = bool(remote) or (config is not None and config.needs_remote)
    if needs_remote or tls is not None:
        from groundplane.pki.remote.signers import MixedSigners, open_remote

        # CFSSL reads these files even where nothing is asked of a remote.
        far = open_remote(remote, config=config, tls=tls, journal=journal)
    skipped = [] if config is None else config.skipped()

    def warn() -> None:
        """Each of CFSSL's signers looks at the policy again, and says so again."""
        for line in skipped:
            journal.warning(line)

    warn()
    local = None
    if needs_local(config, remote):
        if ca is not None and signer is not None:
            parsed = parse_certificate(ca)
            issuer = Issuer(key=signer, certificate=parsed, clock=clock, journal=journal, capped=capped)
        elif ca is None or ca_key is None:
            raise Coded(Code.KEY_UNKNOWN)
        else:
            issuer = open_issuer(ca, ca_key, password=password, clock=clock, journal=journal, capped=capped)
        local = LocalSigners(issuer=issuer, config=config, database=database)
        warn()
    if not needs_remote:
        assert local is not None
        return local
    warn()
    return far if local is None or config is None else MixedSigners(local=local, remote=far, config=config)


def needs_local(config: Config | None, remote: str) -> bool:
    """Whether there is anything to sign here."""
    return not remote and (config is None or config.needs_local)
