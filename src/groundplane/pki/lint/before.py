"""Rules asked before a certificate is made: of the same certificate, signed with a key that nobody knows.

A certificate that breaks rules is then never signed by the CA, not even to look at it.
"""

from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from groundplane.errors import Invalid
from groundplane.pki.certificate import make_der
from groundplane.pki.keys import PublicKey
from groundplane.pki.lint.model import Finding
from groundplane.pki.lint.verdict import breaches, judge
from groundplane.pki.lint.view import view
from groundplane.pki.model import CertificateContent, Linting
from groundplane.pki.signer import LocalSigner

_NAMED = 5


@lru_cache(maxsize=1)
def _nobody() -> LocalSigner:
    """P-256, as CFSSL takes it: rules about signatures are kept by it."""
    return LocalSigner(ec.generate_private_key(ec.SECP256R1()))


def examine(
    content: CertificateContent,
    linting: Linting,
    *,
    public_key: PublicKey,
    serial: int,
    issuer: x509.Certificate | None,
) -> tuple[Finding, ...]:
    """What of it the profile does not allow. Raises Invalid where nothing can be made; Unreadable, of what is made."""
    draft = make_der(content, public_key=public_key, serial=serial, issuer=issuer, signer=_nobody())
    found = judge(view(draft, source=content.subject), ignored=linting.ignored, ignored_sources=linting.ignored_sources)
    return breaches(found, level=linting.level)


def refuse_unfit(
    content: CertificateContent,
    linting: Linting | None,
    *,
    public_key: PublicKey,
    serial: int,
    issuer: x509.Certificate | None,
) -> None:
    """Raises Invalid, naming the rules, for what the profile does not allow; None allows everything."""
    if linting is None:
        return
    found = examine(content, linting, public_key=public_key, serial=serial, issuer=issuer)
    if found:
        hint = "mend the request or the profile, or name what does not matter in ignored_lints"
        raise Invalid(f"it would break {told(found)}", to=content.subject, hint=hint)


def told(findings: Iterable[Finding]) -> str:
    """The first few, worst first, and how many there are."""
    sorted_ = sorted(findings, key=lambda it: (-it.status, it.name))
    names = [finding.name for finding in sorted_[:_NAMED]]
    rest = len(sorted_) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
