"""A key in a security module (PKCS#11), which signs there and never leaves: RSA (PKCS#1 v1.5) and ECDSA."""

import hashlib
import os
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PKCS11Error
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters

from groundplane.errors import Exists, Invalid, NotFound
from groundplane.pki.keys import PublicKey
from groundplane.pki.keystore.token import token_of
from groundplane.pki.keystore.uri import KeyURI, parse_uri
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.pki.signer import ByteSigner, digest_for

_RSA = {256: Mechanism.SHA256_RSA_PKCS, 384: Mechanism.SHA384_RSA_PKCS, 512: Mechanism.SHA512_RSA_PKCS}
_CURVES = {256: "secp256r1", 384: "secp384r1", 521: "secp521r1"}


class TokenSigner(ByteSigner):
    """The key that a URI names. Raises NotFound, Invalid, Failed at its making and when it signs."""

    def __init__(self, uri: KeyURI) -> None:
        self._uri = uri
        self._token = token_of(uri)
        self._session: Any = None
        self._key: Any = None
        self._public = self._token.use(lambda session: _public_key(session, self._key_in(session), uri))
        digest = digest_for(self._public)
        self._bits = 0 if digest is None else digest.digest_size * 8

    @property
    def public_key(self) -> PublicKey:
        """The public half, which the token tells."""
        return self._public

    @property
    def digest_bits(self) -> int:
        """As for a key in memory."""
        return self._bits

    def sign_bytes(self, data: bytes) -> bytes:
        """Have the token sign it."""
        return self._token.use(lambda session: self._sign(self._key_in(session), data))

    def _sign(self, key: Any, data: bytes) -> bytes:
        if isinstance(self._public, rsa.RSAPublicKey):
            return bytes(key.sign(data, mechanism=_RSA[self._bits]))
        digest = hashlib.new(f"sha{self._bits}", data).digest()
        return bytes(encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA)))

    def _key_in(self, session: Any) -> Any:
        """Looked for once in each session."""
        if self._session is not session:
            self._key = _find(session, self._uri)
            self._session = session
        return self._key


def open_signer(text: str) -> TokenSigner:
    """The key that the URI `text` names."""
    return TokenSigner(parse_uri(text))


def generate(text: str, spec: KeySpec) -> TokenSigner:
    """A new key in the token, under the URI's label. Raises Exists if there is one."""
    uri = parse_uri(text)
    if not uri.label:
        raise Invalid("a new key needs a label", to="pkcs11 URI", hint="add object=LABEL")
    token_of(uri).write(lambda session: _make(session, uri, spec))
    return TokenSigner(uri)


def _all(session: Any, kind: ObjectClass, *, label: str = "", key_id: bytes = b"") -> list[Any]:
    wanted: dict[Attribute, object] = {Attribute.CLASS: kind}
    if label:
        wanted[Attribute.LABEL] = label
    if key_id:
        wanted[Attribute.ID] = key_id
    return list(session.get_objects(wanted))


def _find(session: Any, uri: KeyURI) -> Any:
    found = _all(session, ObjectClass.PRIVATE_KEY, label=uri.label, key_id=uri.key_id)
    if len(found) != 1:
        words = "the token has no such private key" if not found else f"the token has {len(found)} such private keys"
        raise NotFound(words, to=f"object={uri.label or uri.key_id.hex()}", hint="say which by object and id")
    return found[0]


def _public_key(session: Any, private: Any, uri: KeyURI) -> PublicKey:
    """Of the public object beside it, else of the key itself, else of its certificate: not every tool writes all."""
    key_id = bytes(_attribute(private, Attribute.ID) or uri.key_id)
    label = "" if key_id else uri.label
    beside = _all(session, ObjectClass.PUBLIC_KEY, label=label, key_id=key_id)
    key: object = None
    if private.key_type is KeyType.RSA:
        key = _rsa(beside[0] if beside else private)
    elif private.key_type is KeyType.EC and beside:
        key = load_der_public_key(encode_ec_public_key(beside[0]))
    if key is None:
        certificates = _all(session, ObjectClass.CERTIFICATE, label=label, key_id=key_id)
        key = (
            x509.load_der_x509_certificate(bytes(certificates[0][Attribute.VALUE])).public_key()
            if certificates
            else None
        )
    if key is None and private.key_type in {KeyType.RSA, KeyType.EC}:
        hint = "write its public key or its certificate into the token, under the same id"
        raise NotFound("the token does not tell the key's public half", to=f"object={uri.label}", hint=hint)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Invalid("the key is neither RSA nor ECDSA", to=f"object={uri.label}", hint="use another")
    return key


def _rsa(found: Any) -> rsa.RSAPublicKey | None:
    exponent, modulus = (_attribute(found, name) for name in (Attribute.PUBLIC_EXPONENT, Attribute.MODULUS))
    if not exponent or not modulus:
        return None
    return rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()


def _attribute(found: Any, name: Attribute) -> Any:
    try:
        return found[name]
    except PKCS11Error:
        return None  # it has none, or does not tell


def _make(session: Any, uri: KeyURI, spec: KeySpec) -> None:
    if _all(session, ObjectClass.PRIVATE_KEY, label=uri.label, key_id=uri.key_id):
        hint = "use it without generating, or choose another label"
        raise Exists("the token has such a key", to=f"object={uri.label}", hint=hint)
    about: dict[str, object] = {"store": True, "label": uri.label, "id": uri.key_id or os.urandom(8)}
    private = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
    match spec.algorithm:
        case KeyAlgorithm.RSA:
            session.generate_keypair(KeyType.RSA, spec.size, private_template=private, **about)
        case KeyAlgorithm.ECDSA:
            curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(_CURVES[spec.size])}
            parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
            parameters.generate_keypair(private_template=private, **about)
        case _:
            raise Invalid(f"tokens make no {spec} keys here", to="key", hint="use rsa or ecdsa")
