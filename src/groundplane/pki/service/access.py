"""Who may call what, and whether a server that is set up so may start at all. Pure."""

import hmac
from collections.abc import Iterable, Iterator

from groundplane.pki.service.model import EVERY, HARMLESS, Caller, Rule, Service


def allowed(rules: Iterable[Rule], endpoint: str, caller: Caller, *, mutual: bool) -> bool:
    """Without any rule about it: clients with a certificate where TLS asks for one, else everybody."""
    about = [rule for rule in rules if endpoint in rule.endpoints or EVERY in rule.endpoints]
    if not about:
        return caller.names is not None if mutual else True
    return any(_fits(rule, caller) for rule in about)


def objections(service: Service, served: Iterable[str]) -> Iterator[str]:
    """Why the server must not start with these endpoints, each a sentence; none for one that is safe."""
    if service.listen.is_loopback:
        return
    settings = service.settings
    nobody = Caller()
    is_open = sorted(
        name for name in served if name not in HARMLESS and allowed(service.rules, name, nobody, mutual=settings.mutual)
    )
    if is_open:
        yield f"anybody who reaches {service.listen} could call {', '.join(is_open)}"
    if any(rule.tokens for rule in service.rules) and not settings.secured:
        yield f"tokens would travel to {service.listen} for everybody to read: there is no TLS"
    if service.metrics is not None and not service.metrics.is_loopback:
        yield f"metrics at {service.metrics} are for everybody who reaches it"


def _fits(rule: Rule, caller: Caller) -> bool:
    if rule.anyone:
        return True
    token = caller.token
    if token is not None and any(hmac.compare_digest(token, known) for known in rule.tokens):
        return True
    return any(pattern.fullmatch(name) for pattern in rule.clients for name in caller.names or ())
