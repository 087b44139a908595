"""The ACME server's storage on SQLite, PostgreSQL and MariaDB: many at once, and what each may do only once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text

from groundplane.pki.acme.context import Context
from groundplane.pki.acme.engine import open_engine
from groundplane.pki.acme.ledger import CertificateLedger
from groundplane.pki.acme.order_store import OrderStore
from groundplane.pki.acme.orders import complete
from groundplane.pki.certdb import DatabaseConfig, Search
from groundplane.pki.certdb.database import CertificateDatabase
from tests.lab.databases import Server, mariadb, postgres  # noqa: F401 - fixtures
from tests.support.acme import Lab, b64, csr, id_of, lab, prove

T = TypeVar("T")
MANY = 12


@pytest.fixture(params=["sqlite3", "postgres", "mysql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseConfig:
    if request.param == "sqlite3":
        return DatabaseConfig(driver="sqlite3", data_source=str(tmp_path / "certs.db"))
    server: Server = request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[request.param])
    return server.new_database()


@pytest.fixture
def certificates(config: DatabaseConfig) -> Iterator[CertificateDatabase]:
    database = CertificateDatabase.open(config, migrate=True)
    yield database
    database.close()


@pytest.fixture
def here(config: DatabaseConfig, certificates: CertificateDatabase, tmp_path: Path) -> Iterator[Lab]:
    engine = open_engine(config)
    yield lab(
        tmp_path,
        engine=engine,
        ledger_of=lambda key_id: CertificateLedger(certificates, authority_key_id=key_id),
    )
    engine.dispose()


def at_once(function: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(function, range(MANY)))


def test_servers_that_start_together_make_the_tables_once(config: DatabaseConfig) -> None:
    engines = [open_engine(config) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda engine: OrderStore(engine).migrate(), engines))
        secrets = set(pool.map(lambda engine: OrderStore(engine).nonce_secret, engines))
    assert len(secrets) == 1
    with engines[0].connect() as connection:
        assert list(connection.execute(text("SELECT value FROM acme_facts WHERE name = 'schema'")).scalars()) == ["1"]
    for engine in engines:
        engine.dispose()


async def test_a_certificate_goes_all_the_way(here: Lab, certificates: CertificateDatabase) -> None:
    client = here.client()
    assert (await client.register(contact=["mailto:a@example.test"])).status == 201
    order = await client.order("a.example.test", "127.0.0.1", notAfter="2026-03-05T00:00:00Z")
    for url in order.json["authorizations"]:
        prove(here, id_of(url))
    done = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test", "127.0.0.1"))})
    assert done.json["status"] == "valid"
    leaf = x509.load_pem_x509_certificate((await client.post(done.json["certificate"], None)).body)
    (record,) = certificates.search(Search())
    assert (record.serial, record.ca_label, record.sans) == (leaf.serial_number, "acme", ("a.example.test",))
    assert record.metadata == {"acme_account": id_of(client.kid), "acme_order": id_of(order.header("location"))}
    payload = {"certificate": b64(leaf.public_bytes(Encoding.DER)), "reason": 1}
    assert (await client.post("https://acme.example/acme/revoke-cert", payload)).status == 200
    (record,) = certificates.search(Search())
    assert (record.status, record.reason, record.revoked_at) == ("revoked", 1, here.clock.now())


async def test_of_many_who_use_one_nonce_one_succeeds(here: Lab) -> None:
    ends = here.clock.now() + timedelta(hours=1)
    assert sum(at_once(lambda _: here.store.spend("ab" * 24, ends))) == 1
    here.store.forget_nonces(ends + timedelta(seconds=1))
    assert here.store.spend("ab" * 24, ends)


async def test_of_many_who_finalize_one_order_one_decides_and_all_get_its_certificate(
    here: Lab, certificates: CertificateDatabase
) -> None:
    client = here.client()
    await client.register()
    order = await client.order("a.example.test")
    prove(here, id_of(order.json["authorizations"][0]))
    place = id_of(order.header("location"))
    wanted = [csr("a.example.test") for _ in range(MANY)]
    now = here.context.now()

    def begin(number: int) -> bool:
        return here.store.begin_issue(place, csr=wanted[number], serial=number + 1, decided=now)

    assert sum(at_once(begin)) == 1
    contexts: list[Context] = [here.again().context for _ in range(MANY)]

    def finish(number: int) -> str:
        found = contexts[number].store.order(place)
        assert found is not None
        return complete(found, contexts[number]).pem

    assert len(set(at_once(finish))) == 1
    assert len(list(certificates.search(Search()))) == 1


async def test_a_challenge_is_claimed_by_one_and_again_when_the_claim_ends(here: Lab) -> None:
    client = here.client()
    await client.register()
    now = here.context.now()
    for name in "abcdef":
        order = await client.order(f"{name}.example.test")
        found = here.store.authorization(id_of(order.json["authorizations"][0]))
        assert found is not None
        assert here.store.start_challenge(found.challenges[0].id, due=now)
    until = now + timedelta(seconds=10)
    claimed = at_once(lambda _: here.store.claim_due(now=now, until=until, most=6))
    assert sorted(one.id for some in claimed for one in some) == sorted({one.id for some in claimed for one in some})
    assert sum(map(len, claimed)) == 6
    assert here.store.next_due() == until
    assert len(here.store.claim_due(now=until, until=until + timedelta(seconds=10), most=6)) == 6


async def test_a_key_has_one_account_whoever_asks_at_once(here: Lab) -> None:
    client = here.client()
    await client.register()
    account = here.store.account(id_of(client.kid))
    assert account is not None
    assert all(found is None for found in at_once(lambda _: here.store.create_account(account)))
    assert here.store.account_of_key(account.thumbprint) == account


async def test_what_came_to_nothing_is_forgotten_and_certificates_stay(here: Lab) -> None:
    client = here.client()
    await client.register()
    kept = await client.order("a.example.test")
    prove(here, id_of(kept.json["authorizations"][0]))
    await client.post(kept.json["finalize"], {"csr": b64(csr("a.example.test"))})
    dropped = await client.order("b.example.test")
    later = here.context.now() + timedelta(days=30)
    here.store.forget(now=later, kept=timedelta(days=7))
    assert here.store.order(id_of(kept.header("location"))) is not None
    assert here.store.order(id_of(dropped.header("location"))) is None
    assert here.store.authorization(id_of(dropped.json["authorizations"][0])) is None
