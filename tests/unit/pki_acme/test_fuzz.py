"""Whatever an account signs, at whatever resource, the answer is no failure of the server."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.acme import BASE, Client, b64, call, csr, id_of, lab, prove, sqlite

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
NAMES = st.sampled_from(
    [
        *(
            "identifiers",
            "type",
            "value",
            "notBefore",
            "notAfter",
            "profile",
            "replaces",
            "csr",
            "certificate",
            "reason",
        ),
        *("status", "contact", "externalAccountBinding", "protected", "payload", "signature", "onlyReturnExisting"),
        *("account", "oldKey", "termsOfServiceAgreed", "kty"),
    ]
)
USUAL = st.sampled_from(
    [
        "dns",
        "ip",
        "a.example.test",
        "127.0.0.1",
        "2026-03-04T12:00:00Z",
        "deactivated",
        "AAAA",
        "AAAA.AAAA",
        "\ud800",
        "\0",
    ]
)
VALUES = st.recursive(
    SCALARS | USUAL | st.binary(max_size=40).map(b64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=6) | VALUES | st.binary(max_size=40)
RESOURCES = st.sampled_from(
    [
        "new-account",
        "new-order",
        "key-change",
        "revoke-cert",
        "account",
        "orders",
        "order",
        "finalize",
        "authz",
        "challenge",
        "cert",
    ]
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "nonce", "url", "jwk", "kid", "crit", "x"]), VALUES, max_size=2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=st.lists(st.tuples(RESOURCES, PAYLOADS, HEADERS), min_size=1, max_size=4))
def test_no_signed_request_is_a_failure_of_the_server(requests: list[tuple[str, Any, dict[str, Any]]]) -> None:
    asyncio.run(ask(requests))


async def ask(requests: list[tuple[str, Any, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = lab(Path(folder), engine=sqlite(":memory:"), limits={"requests": 100_000})
        client = here.client()
        await client.register()
        order = await client.order("a.example.test")
        authorization = order.json["authorizations"][0]
        challenge = (await client.post(authorization, None)).json["challenges"][0]["url"]
        prove(here, id_of(authorization))
        places = {
            **{name: f"{BASE}/acme/{name}" for name in ("new-account", "new-order", "key-change", "revoke-cert")},
            "account": client.kid,
            "orders": client.kid + "/orders",
            "order": order.header("location"),
            "finalize": order.json["finalize"],
            "authz": authorization,
            "challenge": challenge,
            "cert": f"{BASE}/acme/cert/{id_of(order.header('location'))}",
        }
        for resource, payload, header in requests:
            key = client.key if resource == "new-account" else None
            reply = await client.post(places[resource], payload, key=key, **header)
            assert reply.status < 500, (resource, payload, header, reply)
        here.store._engine.dispose()


@settings(max_examples=100, deadline=None)
@given(method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE"]), path=st.text(max_size=40), body=st.binary())
def test_no_unsigned_request_is_a_failure_of_the_server(method: str, path: str, body: bytes) -> None:
    async def once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            here = lab(Path(folder), engine=sqlite(":memory:"))
            for place in (f"{BASE}/{path}", f"{BASE}/acme/{path}", f"{BASE}/acme/renewal-info/{path}"):
                headers = {"content-type": "application/jose+json"}
                try:
                    reply = await call(here.app, method, place.partition("?")[0], body, headers)
                except (ValueError, UnicodeError):
                    continue  # no such URL can be asked for
                assert reply.status < 500, (method, place, reply)
            here.store._engine.dispose()

    asyncio.run(once())


def test_the_fuzzer_could_succeed(tmp_path: Path) -> None:
    """The places above are real ones: a good request at one of them works."""

    async def once() -> int:
        here = lab(tmp_path)
        client = Client(here.app)
        await client.register()
        order = await client.order("a.example.test")
        prove(here, id_of(order.json["authorizations"][0]))
        done = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test"))})
        here.store._engine.dispose()
        return done.status

    assert asyncio.run(once()) == 200
