"""Rules applied to a certificate, and what a profile makes of the answer."""

from collections.abc import Iterable

from groundplane.pki.lint.model import Finding, Status
from groundplane.pki.lint.registry import lints
from groundplane.pki.lint.view import View


def judge(view: View, *, ignored: Iterable[str] = (), ignored_sources: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What every rule says, by their names, but for those that nobody wants to hear."""
    names, sources = {*ignored}, {*ignored_sources}
    return tuple(
        Finding(name=lint.name, source=lint.source, status=lint.judge(view))
        for lint in lints().values()
        if lint.name not in names and lint.source not in sources
    )


def breaches(findings: Iterable[Finding], *, level: int) -> tuple[Finding, ...]:
    """Those that are worse than `level`: 3 lets pass alone through, 7 everything. 0 is for "do not look"."""
    return tuple(finding for finding in findings if finding.status > level)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst of them; a pass if there are none."""
    return max((finding.status for finding in findings), default=Status.PASS)
