"""A key in a security module (PKCS#11), which signs there and never leaves: RSA (PKCS#1 v1.5) and ECDSA.

The module is loaded, and its token opened, when something is first signed, once for each process: a session does not
survive a fork. One thread at a time uses it, which is all that most modules stand.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters

from groundplane.errors import Exists, Failed, Invalid, NotFound
from groundplane.pki.keys import PublicKey
from groundplane.pki.keystore.password import read_password
from groundplane.pki.keystore.uri import KeyURI, parse_uri
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.pki.signer import ByteSigner, digest_for

MODULE_VARIABLE, PIN_VARIABLE = "PKCS11_MODULE_PATH", "GROUNDPLANE_PKCS11_PIN"
_USUAL_MODULES = ("/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so", "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so")
_RSA = {256: Mechanism.SHA256_RSA_PKCS, 384: Mechanism.SHA384_RSA_PKCS, 512: Mechanism.SHA512_RSA_PKCS}
_CURVES = {256: "secp256r1", 384: "secp384r1", 521: "secp521r1"}
T = TypeVar("T")
_INITIALIZED: dict[str, int] = {}
"""The process in which each module was last told that it is used."""


class TokenSigner(ByteSigner):
    """The key that a URI names. Raises NotFound, Invalid, Failed at its making and when it signs."""

    def __init__(self, uri: KeyURI) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._process = -1
        self._key: Any = None
        with self._lock:
            self._public = _public_key(self._open(), uri)
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
        with self._lock:
            self._open()
            return _told(lambda: self._sign(data), self._uri)

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._public, rsa.RSAPublicKey):
            return bytes(self._key.sign(data, mechanism=_RSA[self._bits]))
        digest = hashlib.new(f"sha{self._bits}", data).digest()
        return bytes(encode_ecdsa_signature(self._key.sign(digest, mechanism=Mechanism.ECDSA)))

    def _open(self) -> Any:
        """The session of this process, with the key found."""
        if self._process != os.getpid():
            session = open_session(self._uri)
            self._key = _find(session, ObjectClass.PRIVATE_KEY, self._uri)
            self._session = session
            self._process = os.getpid()
        return self._session


def open_signer(text: str) -> TokenSigner:
    """The key that the URI `text` names."""
    return TokenSigner(parse_uri(text))


def generate(text: str, spec: KeySpec) -> TokenSigner:
    """A new key in the token, under the URI's label. Raises Exists if there is one."""
    uri = parse_uri(text)
    if not uri.label:
        raise Invalid("a new key needs a label", to="pkcs11 URI", hint="add object=LABEL")
    session = open_session(uri, writable=True)
    try:
        if _all(session, ObjectClass.PRIVATE_KEY, uri):
            raise Exists(
                "the token has such a key", to=f"object={uri.label}", hint="use it without generating, or choose"
            )
        _told(lambda: _make(session, uri, spec), uri)
    finally:
        session.close()
    return TokenSigner(uri)


def open_session(uri: KeyURI, *, writable: bool = False) -> Any:
    """Log in to the token. Raises NotFound, Invalid, Failed."""
    module = uri.module or os.environ.get(MODULE_VARIABLE) or next(filter(os.path.exists, _USUAL_MODULES), "")
    if not module:
        hint = f"add module-path=… to the URI, or set {MODULE_VARIABLE}"
        raise Invalid("which PKCS#11 module?", to="pkcs11 URI", hint=hint)
    try:
        library = pkcs11.lib(module)
    except (RuntimeError, pkcs11.PKCS11Error, OSError) as bad:
        raise NotFound(f"the module cannot be loaded: {bad}", to=module, hint="name another") from bad
    if _INITIALIZED.setdefault(module, os.getpid()) != os.getpid():
        library.reinitialize()  # what was there before a fork is the parent's
        _INITIALIZED[module] = os.getpid()
    pin = _pin(uri)

    def log_in() -> Any:
        tokens = [one for one in library.get_tokens() if _is_wanted(one, uri)]
        if len(tokens) != 1:
            words = "there is no such token" if not tokens else "several tokens are called so"
            raise NotFound(words, to=f"token={uri.token or uri.serial or uri.slot}", hint="see `pkcs11-tool -L`")
        return tokens[0].open(rw=writable, user_pin=pin)

    return _told(log_in, uri)


def _is_wanted(token: Any, uri: KeyURI) -> bool:
    if uri.token and token.label.strip() != uri.token:
        return False
    if uri.serial and token.serial.decode(errors="replace").strip() != uri.serial:
        return False
    return uri.slot is None or token.slot.slot_id == uri.slot


def _pin(uri: KeyURI) -> str:
    if uri.pin_source:
        source = uri.pin_source if uri.pin_source.startswith(("file:", "env:")) else f"file:{uri.pin_source}"
        return read_password(source, what="PIN").decode(errors="surrogateescape")
    if PIN_VARIABLE in os.environ:
        return os.environ[PIN_VARIABLE]
    hint = f"add pin-source=file:PATH to the URI, or set {PIN_VARIABLE}"
    raise Invalid("the token wants a PIN", to="pkcs11 URI", hint=hint)


def _all(session: Any, kind: ObjectClass, uri: KeyURI) -> list[Any]:
    wanted: dict[Attribute, object] = {Attribute.CLASS: kind}
    if uri.label:
        wanted[Attribute.LABEL] = uri.label
    if uri.key_id:
        wanted[Attribute.ID] = uri.key_id
    return _told(lambda: list(session.get_objects(wanted)), uri)


def _find(session: Any, kind: ObjectClass, uri: KeyURI) -> Any:
    found = _all(session, kind, uri)
    if len(found) != 1:
        what = "private key" if kind is ObjectClass.PRIVATE_KEY else "public key"
        words = f"the token has no such {what}" if not found else f"the token has {len(found)} such {what}s"
        raise NotFound(words, to=f"object={uri.label or uri.key_id.hex()}", hint="say which by object and id")
    return found[0]


def _public_key(session: Any, uri: KeyURI) -> PublicKey:
    found = _find(session, ObjectClass.PUBLIC_KEY, uri)

    def read() -> object:
        if found.key_type is KeyType.RSA:
            exponent, modulus = (int.from_bytes(found[name]) for name in (Attribute.PUBLIC_EXPONENT, Attribute.MODULUS))
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if found.key_type is KeyType.EC:
            return load_der_public_key(encode_ec_public_key(found))
        return None

    key = _told(read, uri)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Invalid("the key is neither RSA nor ECDSA", to=f"object={uri.label}", hint="use another")
    return key


def _make(session: Any, uri: KeyURI, spec: KeySpec) -> None:
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


def _told(call: Callable[[], T], uri: KeyURI) -> T:
    """A module's refusal in our words. Raises Failed, Invalid."""
    try:
        return call()
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as wrong:
        raise Invalid("the PIN is wrong", to=f"token={uri.token}", hint="a token locks itself after a few") from wrong
    except pkcs11.PKCS11Error as bad:
        raise Failed(
            f"the security module refused: {type(bad).__name__} {bad}".rstrip(), to=f"token={uri.token}"
        ) from bad
