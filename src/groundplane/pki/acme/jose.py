"""JOSE, as much as ACME uses (RFC 7515, 7517, 7518, 7638, 8037; RFC 8555, 6.2), strictly read.

A request is one flattened JWS: `protected`, `payload`, `signature`, no unprotected header, one signature. base64url has
no padding, no blanks and no stray bits, so each text has one reading. Algorithms are asymmetric, and go with
one kind of key; HMAC exists only for the inner signature of external account binding. Nonces and accounts are unknown
here.

Our own, and not a library's, because libraries are wide where ACME wants narrow: they take the unprotected header,
several signatures, keys by URL, padding. What remains is three signature checks, which `cryptography` does.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from groundplane.pki.acme.problem import Problem, Type, malformed

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_EC_ALGORITHMS: dict[str, tuple[int, hashes.HashAlgorithm]] = {
    "ES256": (256, hashes.SHA256()),
    "ES384": (384, hashes.SHA384()),
    "ES512": (521, hashes.SHA512()),
}
ALGORITHMS = ("RS256", *_EC_ALGORITHMS, "EdDSA")
_HMACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}  # RFC 7638, 3.2
_SMALLEST_RSA, _LARGEST_RSA, _LARGEST_EXPONENT = 2048, 8192, (1 << 32) - 1
_SMALLEST_HMAC = 16
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: object, *, what: str) -> bytes:
    """The bytes of base64url; `what` is named in the Problem. Refuses padding, blanks and bits beyond the last byte."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise malformed(f"{what} is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as bad:
        raise malformed(f"{what} is not base64url without padding") from bad
    if encode(data) != text:
        raise malformed(f"{what} has bits beyond its last byte")
    return data


def parse_object(data: bytes, *, what: str) -> dict[str, object]:
    """A JSON object. Refuses repeated names, NaN, half surrogates, depth and everything that is no object."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair would break a database later
    except (ValueError, RecursionError) as bad:
        raise malformed(f"{what} is not a JSON object") from bad
    if not isinstance(value, dict):
        raise malformed(f"{what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(pairs)
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class JWS:
    """A parsed request, its signature not yet checked. `payload` is empty for a POST-as-GET."""

    protected: Mapping[str, object]
    payload: bytes
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def text(self, name: str) -> str:
        """A string of the protected header. Raises Problem if it is missing."""
        value = self.protected.get(name)
        if not isinstance(value, str):
            raise malformed(f'the protected header needs "{name}", a string')
        return value

    @property
    def algorithm(self) -> str:
        """Its `alg`."""
        return self.text("alg")


def parse(body: bytes, *, what: str = "the request") -> JWS:
    """A flattened JWS. Raises Problem."""
    return of_fields(parse_object(body, what=what), what=what)


def of_fields(fields: Mapping[str, object], *, what: str) -> JWS:
    """A flattened JWS from its decoded JSON object."""
    if "header" in fields:
        raise malformed(f"{what} has an unprotected header, which ACME does not allow")
    if "signatures" in fields:
        raise malformed(f"{what} has several signatures; ACME wants the flattened form")
    for name in ("protected", "payload", "signature"):
        if not isinstance(fields.get(name), str):
            raise malformed(f'{what} needs "{name}", a string')
    protected, payload = str(fields["protected"]), str(fields["payload"])
    header = parse_object(decode(protected, what=f"{what}'s protected header"), what=f"{what}'s protected header")
    for name in ("crit", "b64"):
        if name in header:
            raise malformed(f'{what} has "{name}" in its header, which this server does not understand')
    return JWS(
        protected=header,
        payload=decode(payload, what=f"{what}'s payload"),
        signing_input=f"{protected}.{payload}".encode(),
        signature=decode(fields["signature"], what=f"{what}'s signature"),
    )


def parse_key(value: object) -> tuple[PublicKey, dict[str, str]]:
    """A public JWK: the key, and its required members alone. Raises Problem for a private, weak or strange one."""
    if not isinstance(value, dict):
        raise malformed('"jwk" is not a JSON object')
    kind = value.get("kty")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise _bad_key("only RSA, EC and OKP (Ed25519) keys are taken")
    if {"d", "p", "q", "k"} & set(value):
        raise _bad_key("this is a private key: make another, and keep that one to yourself")
    members: dict[str, str] = {}
    for name in _MEMBERS[kind]:
        member = value.get(name)
        if not isinstance(member, str):
            raise _bad_key(f'the key needs "{name}", a string')
        members[name] = member
    try:
        return _key(members), members
    except (ValueError, UnsupportedAlgorithm) as bad:
        raise _bad_key(f"there is no such {kind} key") from bad


def _key(members: Mapping[str, str]) -> PublicKey:
    match members["kty"]:
        case "RSA":
            modulus, exponent = _number(members, "n"), _number(members, "e")
            if not _SMALLEST_RSA <= modulus.bit_length() <= _LARGEST_RSA:
                raise _bad_key(f"RSA keys of {_SMALLEST_RSA} to {_LARGEST_RSA} bits are taken")
            if not (exponent & 1 and 1 < exponent <= _LARGEST_EXPONENT):
                raise _bad_key("an RSA exponent is odd, and has 32 bits at most")
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        case "EC":
            curve = _CURVES.get(members["crv"])
            if curve is None:
                raise _bad_key(f"EC keys are of {', '.join(_CURVES)}")
            size = (curve.key_size + 7) // 8
            x, y = (decode(members[name], what=f'"{name}"') for name in ("x", "y"))
            if len(x) != size or len(y) != size:  # RFC 7518, 6.2.1.2: the full size of the field
                raise _bad_key(f"coordinates of {members['crv']} have {size} bytes")
            return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()
        case _:
            if members["crv"] != "Ed25519":
                raise _bad_key("OKP keys are of Ed25519")
            return ed25519.Ed25519PublicKey.from_public_bytes(decode(members["x"], what='"x"'))


def _number(members: Mapping[str, str], name: str) -> int:
    data = decode(members[name], what=f'"{name}"')
    if len(data) > _LARGEST_RSA // 8 or data[:1] == b"\0":  # RFC 7518, 6.3.1: no leading zero octets
        raise _bad_key(f'"{name}" is too long, or begins with a zero byte')
    return int.from_bytes(data)


def _bad_key(detail: str) -> Problem:
    return Problem(Type.BAD_PUBLIC_KEY, detail)


def thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638, of a key's required members."""
    text = json.dumps(dict(sorted(members.items())), separators=(",", ":"), ensure_ascii=False)
    return encode(hashlib.sha256(text.encode()).digest())


def verify(jws: JWS, key: PublicKey) -> None:
    """Raises Problem unless `key` made the signature, by an algorithm that is its own."""
    if jws.algorithm not in ALGORITHMS:
        detail = f"the algorithm {jws.algorithm[:32]!r} is not taken"
        raise Problem(Type.BAD_SIGNATURE_ALGORITHM, detail, extra={"algorithms": list(ALGORITHMS)})
    try:
        _verify(jws, key)
    except InvalidSignature as wrong:
        raise malformed("the signature is not the key's") from wrong


def _verify(jws: JWS, key: PublicKey) -> None:
    match key:
        case rsa.RSAPublicKey() if jws.algorithm == "RS256":
            key.verify(jws.signature, jws.signing_input, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePublicKey() if _EC_ALGORITHMS.get(jws.algorithm, (0,))[0] == key.key_size:
            size = (key.key_size + 7) // 8
            if len(jws.signature) != 2 * size:  # RFC 7518, 3.4
                raise InvalidSignature
            r, s = int.from_bytes(jws.signature[:size]), int.from_bytes(jws.signature[size:])
            digest = _EC_ALGORITHMS[jws.algorithm][1]
            key.verify(encode_dss_signature(r, s), jws.signing_input, ec.ECDSA(digest))
        case ed25519.Ed25519PublicKey() if jws.algorithm == "EdDSA":
            key.verify(jws.signature, jws.signing_input)
        case _:
            detail = f"the algorithm {jws.algorithm} does not go with this key"
            raise Problem(Type.BAD_SIGNATURE_ALGORITHM, detail, extra={"algorithms": list(ALGORITHMS)})


def verify_hmac(jws: JWS, secret: bytes) -> None:
    """External account binding (RFC 8555, 7.3.4). Raises Problem unless `secret` made the signature."""
    digest = _HMACS.get(jws.algorithm)
    if digest is None:
        raise Problem(Type.BAD_SIGNATURE_ALGORITHM, "a binding is signed by HMAC", extra={"algorithms": list(_HMACS)})
    if len(secret) < _SMALLEST_HMAC or not hmac.compare_digest(
        hmac.digest(secret, jws.signing_input, digest), jws.signature
    ):
        raise Problem(Type.UNAUTHORIZED, "the external account's key did not sign this binding")
