"""Certification Authority Authorization: may this CA issue for a name? RFC 8659, with RFC 8657's account and methods.

Only asked where the operator gives the server identities (`caa_identities`); a private CA for private names has none.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from groundplane.pki.acme.model import ChallengeType

_KNOWN = frozenset({"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One CAA record; `tag` in lower case."""

    critical: bool
    tag: str
    value: str


def names_to_ask(name: str) -> tuple[str, ...]:
    """The name and those above it, nearest first; the first with any record decides (RFC 8659, 3)."""
    labels = name.split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


def permits(
    records: Collection[Record], *, wildcard: bool, identities: Iterable[str], account_url: str, method: ChallengeType
) -> bool:
    """Whether these records, the deciding ones, let one of `identities` issue."""
    if any(record.critical and record.tag not in _KNOWN for record in records):
        return False
    wild = [record for record in records if record.tag == "issuewild"]
    chosen = wild if wildcard and wild else [record for record in records if record.tag == "issue"]
    ours = {identity.lower() for identity in identities}
    return not chosen or any(_permits(record.value, ours, account_url, method) for record in chosen)


def _permits(value: str, ours: set[str], account_url: str, method: ChallengeType) -> bool:
    issuer, *parameters = (part.strip() for part in value.split(";"))
    if issuer.lower() not in ours:
        return False
    accounts: list[str] = []
    methods: list[str] = []
    for parameter in filter(None, parameters):
        name, separator, said = (part.strip() for part in parameter.partition("="))
        if not separator:
            return False  # RFC 8659, 4.2: what is malformed authorizes nobody
        if name.lower() == "accounturi":
            accounts.append(said)
        elif name.lower() == "validationmethods":
            methods += [one.strip() for one in said.split(",")]
    return (not accounts or accounts == [account_url]) and (not methods or method.value in methods)
