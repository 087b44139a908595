"""What logs say of a certificate, before it is made, and what it says of that (RFC 6962, 3.1 and 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from groundplane.errors import Unavailable
from groundplane.pki.ct.model import POISON, BadTimestamp, timestamp_list
from groundplane.pki.ct.submit import LogFailed, submit
from groundplane.pki.model import CertificateContent, RawExtension

C = TypeVar("C", bound=CertificateContent)


def timestamps(chain: Sequence[bytes], logs: Sequence[str], *, tell: Callable[[str], object]) -> RawExtension:
    """All logs' words about a precertificate; `chain` is it and its issuers, in DER. `tell` hears of each log.

    Raises LogFailed, BadTimestamp.
    """
    found = []
    for log in logs:
        tell(log)
        found.append(submit(log, chain))
    return timestamp_list(found)


def told_to_logs(content: C, logs: Sequence[str], *, issuer: bytes, make: Callable[[CertificateContent], bytes]) -> C:
    """`content` with the words of `logs` about what `make` makes of it, poisoned. Raises Unavailable, naming a log."""
    if not logs:
        return content
    precertificate = make(replace(content, extensions=(*content.extensions, POISON)))
    asked: list[str] = []
    try:
        found = timestamps((precertificate, issuer), logs, tell=asked.append)
    except (LogFailed, BadTimestamp) as bad:
        hint = "try again, or take it out of the profile's ct_log_servers"
        happened = f"this log of certificate transparency has not taken it: {bad}"
        raise Unavailable(happened, to=asked[-1], hint=hint) from bad
    return replace(content, extensions=(*content.extensions, found))
