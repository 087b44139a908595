"""What Prometheus is told of the ACME server: requests, validations, what was issued and revoked."""

from prometheus_client import CollectorRegistry, Counter, generate_latest

_registry = CollectorRegistry()  # so that nothing of another library is among them
REQUESTS = Counter("groundplane_acme_requests", "Requests.", ("resource", "status"), registry=_registry)
VALIDATIONS = Counter(
    "groundplane_acme_validations", "Challenges that came to an end.", ("type", "outcome"), registry=_registry
)
ISSUED = Counter("groundplane_acme_certificates_issued", "Certificates that were issued.", registry=_registry)
REVOKED = Counter("groundplane_acme_certificates_revoked", "Certificates that were revoked.", registry=_registry)
UNTOLD = Counter("groundplane_acme_audit_failures", "Lines of the audit that could not be written.", registry=_registry)
_RESOURCES = frozenset(
    {
        *("directory", "new-nonce", "new-account", "new-order", "key-change", "revoke-cert", "account", "order"),
        *("authz", "challenge", "cert", "renewal-info"),
    }
)


def answered(path: str, status: int) -> None:
    """A request was answered. Paths that are no resource's count as one, or strangers could fill the memory."""
    name = path.removeprefix("/acme").lstrip("/").partition("/")[0]
    REQUESTS.labels(name if name in _RESOURCES else "other", str(status)).inc()


def exposition() -> bytes:
    """All of it, in Prometheus's text format."""
    text: bytes = generate_latest(_registry)
    return text
