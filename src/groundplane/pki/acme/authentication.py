"""Who asks? RFC 8555, 6.2 to 6.5: the signature, the URL it was made for, the nonce that lets it count once.

The nonce is spent last, and only by a request that is right otherwise: nobody can use up another's, nor make the server
write without a signature.
"""

from collections.abc import Mapping
from enum import Enum

from groundplane.pki.acme import jose, nonces
from groundplane.pki.acme.context import Asked, Context
from groundplane.pki.acme.model import Account, AccountStatus
from groundplane.pki.acme.problem import Problem, Type, malformed
from groundplane.pki.acme.store import is_id

_UNAUTHENTICATED = 401


class By(Enum):
    """How a resource wants its requests signed."""

    KEY = "jwk"
    ACCOUNT = "kid"
    EITHER = "jwk or kid"


def authenticate(body: bytes, *, url: str, by: By, client: str, query: Mapping[str, str], context: Context) -> Asked:
    """The request in `body`. Raises Problem."""
    jws = jose.parse(body)
    if jws.algorithm not in jose.ALGORITHMS:
        detail = f"the algorithm {jws.algorithm[:32]!r} is not taken"
        raise Problem(Type.BAD_SIGNATURE_ALGORITHM, detail, extra={"algorithms": list(jose.ALGORITHMS)})
    if jws.text("url") != url:
        raise Problem(Type.UNAUTHORIZED, f'the "url" that was signed is not {url}')
    nonce = jws.protected.get("nonce")
    account, jwk = _identity(jws, by, context)
    key, members = jose.parse_key(jwk)
    jose.verify(jws, key)
    if account is not None:
        check_alive(account)
    now = context.now()
    good = nonces.check(nonce, context.store.nonce_secret, now=now) if isinstance(nonce, str) else None
    if good is None or not context.store.spend(*good):
        raise Problem(Type.BAD_NONCE, "the nonce is missing, too old, or was used before")
    return Asked(url=url, key=key, jwk=members, account=account, payload=jws.payload, client=client, query=dict(query))


def _identity(jws: jose.JWS, by: By, context: Context) -> tuple[Account | None, object]:
    """The account, if it signs as one, and the key to verify with."""
    has_key, has_account = "jwk" in jws.protected, "kid" in jws.protected
    if has_key == has_account:
        raise malformed('the protected header needs either "jwk" or "kid"')
    if by is By.KEY and not has_key:
        raise malformed('this resource wants "jwk", not "kid"')
    if by is By.ACCOUNT and not has_account:
        raise malformed('this resource wants "kid", the URL of an account, not "jwk"')
    if has_key:
        return None, jws.protected["jwk"]
    account = account_at(jws.text("kid"), context)
    return account, dict(account.jwk)


def account_at(url: str, context: Context) -> Account:
    """The account of a `kid`. Raises Problem."""
    identifier = url.removeprefix(context.urls.account(""))
    found = context.store.account(identifier) if is_id(identifier) else None
    if found is None:
        raise Problem(Type.ACCOUNT_DOES_NOT_EXIST, "there is no account with this URL")
    return found


def check_alive(account: Account) -> None:
    """Raises Problem for an account that has ended (RFC 8555, 7.3.6)."""
    if account.status is not AccountStatus.VALID:
        raise Problem(Type.UNAUTHORIZED, f"the account is {account.status.value}", status=_UNAUTHENTICATED)
