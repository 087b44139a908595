"""Certificates as rows of a status table."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from groundplane.pki.model import SeenCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One certificate, in few words. `days_left` is of whole days, and negative once it has ended."""

    name: str
    path: str
    not_before: datetime
    not_after: datetime
    days_left: int
    names: tuple[str, ...]
    issuer: str
    is_ca: bool
    key: str


def describe(seen: SeenCertificate, *, path: Path | str, now: datetime) -> Description:
    """The row of `seen`, which is kept at `path`."""
    return Description(
        name=seen.subject.common_name or str(seen.subject),
        path=str(path),
        not_before=seen.not_before,
        not_after=seen.not_after,
        days_left=(seen.not_after - now).days,
        names=seen.names.texts(),
        issuer=seen.issuer.common_name or str(seen.issuer),
        is_ca=seen.is_ca,
        key="another kind" if seen.key is None else str(seen.key),
    )
