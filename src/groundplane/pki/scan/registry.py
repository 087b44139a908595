"""The numbers of TLS and their names: versions, cipher suites, groups, signature algorithms, alerts.

Names are CFSSL's where it has one, since its clients match on them: OpenSSL's for suites, if there is one.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SSL30, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
VERSIONS = {SSL30: "SSL 3.0", TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2", TLS13: "TLS 1.3"}

# Those that CFSSL asks for: RFC 4492 and RFC 7027.
OLD_GROUPS = dict(
    enumerate(
        (
            *("sect163k1", "sect163r1", "sect163r2", "sect193r1", "sect193r2", "sect233k1", "sect233r1", "sect239k1"),
            *("sect283k1", "sect283r1", "sect409k1", "sect409r1", "sect571k1", "sect571r1", "secp160k1", "secp160r1"),
            *("secp160r2", "secp192k1", "secp192r1", "secp224k1", "secp224r1", "secp256k1", "secp256r1", "secp384r1"),
            *("secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"),
        ),
        start=1,
    )
)
P256, P384, P521, X25519, X448 = 23, 24, 25, 29, 30
# TLS 1.3's, in the order in which they are asked for where the server leaves it to its client.
NEW_GROUPS = {
    0x11EC: "X25519MLKEM768",
    0x11EB: "SecP256r1MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
    X25519: "X25519",
    P256: "secp256r1",
    P384: "secp384r1",
    P521: "secp521r1",
    X448: "X448",
    31: "brainpoolP256r1tls13",
    32: "brainpoolP384r1tls13",
    33: "brainpoolP512r1tls13",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
}
GROUPS = {**OLD_GROUPS, **NEW_GROUPS}

# CFSSL's pairs of a signature and a hash, in its order; the number is TLS 1.2's, hash before signature.
PAIRS = {
    0x0401: ("RSA", "SHA256"),
    0x0403: ("ECDSA", "SHA256"),
    0x0501: ("RSA", "SHA384"),
    0x0503: ("ECDSA", "SHA384"),
    0x0201: ("RSA", "SHA1"),
    0x0203: ("ECDSA", "SHA1"),
}
# TLS 1.3's, and others that a certificate may need.
SCHEMES = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
}
# These sign a certificate, but no handshake of TLS 1.3 (RFC 8446, 4.2.3).
ONLY_IN_CERTIFICATES = frozenset({0x0401, 0x0501, 0x0601, 0x0203, 0x0201})

ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    21: "decryption failed",
    22: "record overflow",
    30: "decompression failure",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "revoked certificate",
    45: "expired certificate",
    46: "unknown certificate",
    47: "illegal parameter",
    48: "unknown certificate authority",
    49: "access denied",
    50: "error decoding message",
    51: "error decrypting message",
    70: "protocol version not supported",
    71: "insufficient security level",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    100: "no renegotiation",
}
_STRONG = ("_GCM_", "_CHACHA20_", "_CCM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A cipher suite. `new`: it came after CFSSL's list."""

    number: int
    name: str
    short: str = ""
    new: bool = False

    def __str__(self) -> str:
        return self.short or self.name

    @property
    def elliptic(self) -> bool:
        """Whether its key exchange is over a curve, in a version before TLS 1.3."""
        return "_ECDH" in self.name

    @property
    def for_tls13(self) -> bool:
        """Whether it is for TLS 1.3, and for that alone."""
        return self.number >> 8 == 0x13  # noqa: PLR2004 - RFC 8446, B.4


@cache
def suites() -> dict[int, Suite]:
    """All, by number; those first that one would rather have, where a server leaves it to its client."""
    found = []
    for line in files("groundplane.pki.scan").joinpath("suites.txt").read_text("ascii").splitlines():
        if line.startswith("#"):
            continue
        number, name, short, new = (*line.split(), "", "")[:4]
        found.append(Suite(number=int(number, 16), name=name, short=short.strip("-"), new=new == "new"))
    return {suite.number: suite for suite in sorted(found, key=_preference)}


def _preference(suite: Suite) -> tuple[bool, ...]:
    strong = any(kind in suite.name for kind in _STRONG)
    ephemeral = "DHE_" in suite.name or suite.for_tls13
    weak = any(kind in suite.name for kind in ("NULL", "EXPORT", "anon", "RC4", "_DES_", "PSK", "SRP", "KRB5"))
    return weak, not ephemeral, not strong


@cache
def old_suites() -> tuple[int, ...]:
    """Those of CFSSL's list."""
    return tuple(number for number, suite in suites().items() if not suite.new)
