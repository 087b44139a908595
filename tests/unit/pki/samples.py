"""The files of the cluster that the built-in lab brings up, and short names for what many tests make of them."""

import json
from datetime import UTC, datetime

from groundplane.pki.model import CertificateRequest, SeenCertificate, SigningPolicy
from groundplane.pki.policy import plan_root
from groundplane.pki.wire import parse_policy, parse_request

NOW = datetime(2026, 3, 4, 10, 20, 29, 999999, tzinfo=UTC)

NAMES = [{"C": "CN", "ST": "HangZhou", "L": "HangZhou", "O": "DevOps", "OU": "line1"}]
HOSTS = ["127.0.0.1", "192.168.153.129", "192.168.153.130", "192.168.153.131"]
CONFIG = {
    "signing": {
        "default": {"expiry": "8760h"},
        "profiles": {
            "etcd": {"expiry": "8760h", "usages": ["server auth", "client auth", "key encipherment"]},
            "node": {"expiry": "4380h", "usages": ["server auth", "key encipherment", "client auth"]},
        },
    }
}
CA = {
    "CN": "kubernetes-ca",
    "key": {"algo": "rsa", "size": 4096},
    "names": NAMES,
    "ca": {"expiry": "876000h"},
}
ETCD = {"CN": "etcd", "hosts": HOSTS, "key": {"algo": "rsa", "size": 2048}, "names": NAMES}


def policy(document: object = CONFIG, *, strict: bool = True) -> SigningPolicy:
    return parse_policy(json.dumps(document).encode(), source="ca-config.json", strict=strict)


def request(document: object = ETCD, *, strict: bool = True) -> CertificateRequest:
    return parse_request(json.dumps(document).encode(), source="csr.json", strict=strict)


def quick_ca() -> CertificateRequest:
    """The root's request with a key that takes no time to make."""
    return request({**CA, "key": {"algo": "ecdsa", "size": 256}})


def issuer(*, path_length: int | None = None) -> SeenCertificate:
    plan = plan_root(request(CA), now=NOW)
    return SeenCertificate(
        subject=plan.subject,
        issuer=plan.subject,
        serial=1,
        not_before=plan.not_before,
        not_after=plan.not_after,
        names=plan.names,
        key=plan.key,
        key_usages=plan.key_usages,
        extended_usages=(),
        is_ca=True,
        path_length=path_length,
    )
