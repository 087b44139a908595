"""dns-01 (RFC 8555, 8.4): a TXT record of `_acme-challenge.NAME` holds the digest of the key authorization."""

import hashlib

from groundplane.pki.acme.jose import encode
from groundplane.pki.acme.model import Identifier
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.resolve import Resolver

PREFIX = "_acme-challenge."


def wanted_text(key_authorization: str) -> str:
    """What the record has to say."""
    return encode(hashlib.sha256(key_authorization.encode()).digest())


async def validate(target: Identifier, *, key_authorization: str, resolver: Resolver) -> None:
    """Raises Problem unless one of the records is the right one; others may stand beside it."""
    name = PREFIX + target.base
    found = await resolver.texts(name)
    if not found:
        raise Problem(Type.DNS, f"there is no TXT record of {name}")
    if wanted_text(key_authorization).encode() not in found:
        shown = found[0][:100].decode("utf-8", "replace")
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise Problem(Type.INCORRECT_RESPONSE, f"the TXT record of {name} is {shown!r}{more}, not the digest wanted")
