"""PKCS#12 (RFC 7292), with what is good today, or as Java 8 before 8u301 and Windows Server 2016 still want it."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from groundplane.errors import Invalid
from groundplane.pki.keys import MLDSAPrivateKey, PrivateKey
from groundplane.pki.keystore.bundle import Contents, arranged, check
from groundplane.pki.keystore.cost import refuse_costly

_ROUNDS, _OLD_ROUNDS = 50_000, 2048


def write(contents: Contents, *, password: bytes, alias: str, legacy: bool = False) -> bytes:
    """The file. Raises Invalid for what it cannot hold."""
    check(contents, alias)
    builder = PrivateFormat.PKCS12.encryption_builder()
    if legacy:
        algorithm = pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC
        encryption = builder.kdf_rounds(_OLD_ROUNDS).key_cert_algorithm(algorithm).hmac_hash(hashes.SHA1())  # noqa: S303
    else:
        algorithm = pkcs12.PBES.PBESv2SHA256AndAES256CBC
        encryption = builder.kdf_rounds(_ROUNDS).key_cert_algorithm(algorithm).hmac_hash(hashes.SHA256())
    locked = encryption.build(password)
    key = contents.key
    if isinstance(key, MLDSAPrivateKey):
        raise Invalid(
            "PKCS#12 files with ML-DSA keys are understood by nobody yet", to="key", hint="use pkcs8-encrypted"
        )
    name = alias.encode()
    try:
        if key is None:
            trusted = [pkcs12.PKCS12Certificate(one, None) for one in contents.certificates]
            return pkcs12.serialize_java_truststore(trusted, locked)
        others = [*contents.chain[1:], *contents.trusted]
        return pkcs12.serialize_key_and_certificates(name, key, contents.chain[0], others or None, locked)
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise Invalid(f"PKCS#12 cannot hold this: {bad}", to="contents") from bad


def read(data: bytes, *, password: bytes, source: str) -> Contents:
    """What is in it. Raises Invalid."""
    refuse_costly(data, source=source)
    try:
        found = pkcs12.load_pkcs12(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise Invalid("it is no PKCS#12 file, or the password is wrong", to=source, hint="try another") from bad
    if found.key is not None and not isinstance(found.key, PrivateKey):
        raise Invalid("its key is neither RSA, ECDSA nor Ed25519", to=source)
    own = [] if found.cert is None else [found.cert.certificate]
    certificates = [*own, *(one.certificate for one in found.additional_certs)]
    made = arranged(found.key, certificates, source=source)
    name = b"" if found.cert is None else (found.cert.friendly_name or b"")
    return Contents(key=made.key, chain=made.chain, trusted=made.trusted, alias=name.decode(errors="replace"))
