"""RFC 8555 from a client's side, against the application itself: what it answers, and what it refuses."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.acme.app import LARGEST_BODY
from tests.support.acme import (
    BASE,
    START,
    AccountKey,
    Client,
    Lab,
    Reply,
    b64,
    call,
    csr,
    id_of,
    jwk_of,
    jws,
    lab,
    prove,
)


@pytest.fixture
def here(tmp_path: Path) -> Lab:
    return lab(tmp_path)


async def registered(here: Lab, key: AccountKey | None = None) -> Client:
    client = here.client(key)
    assert (await client.register()).status == 201
    return client


async def ready_order(here: Lab, client: Client, *names: str, **fields: object) -> Reply:
    order = await client.order(*names, **fields)
    assert order.status == 201, order
    for url in order.json["authorizations"]:
        found = here.store.authorization(id_of(url))
        assert found is not None
        if found.stored == "pending":
            prove(here, id_of(url), kind="dns-01" if found.wildcard else "http-01")
    return order


async def issued(here: Lab, client: Client, *names: str, key: Any = None, **fields: object) -> x509.Certificate:
    order = await ready_order(here, client, *names, **fields)
    done = await client.post(order.json["finalize"], {"csr": b64(csr(*names, key=key))})
    assert done.status == 200, done
    assert done.json["status"] == "valid"
    chain = await client.post(done.json["certificate"], None)
    assert chain.header("content-type") == "application/pem-certificate-chain"
    leaf, issuer = x509.load_pem_x509_certificates(chain.body)
    assert issuer == here.authority.certificate
    leaf.verify_directly_issued_by(issuer)
    return leaf


async def test_the_directory_says_where_everything_is(here: Lab) -> None:
    reply = await call(here.app, "GET", f"{BASE}/directory")
    assert reply.status == 200
    assert reply.header("content-type") == "application/json"
    names = ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"]
    assert all(reply.json[name].startswith(f"{BASE}/acme/") for name in names)


async def test_a_new_nonce_comes_with_head_and_with_get(here: Lab) -> None:
    head = await call(here.app, "HEAD", f"{BASE}/acme/new-nonce")
    get = await call(here.app, "GET", f"{BASE}/acme/new-nonce")
    assert (head.status, get.status) == (200, 204)
    assert head.header("replay-nonce") != get.header("replay-nonce")
    assert head.header("cache-control") == "no-store"
    assert f'<{BASE}/directory>;rel="index"' in dict(head.headers)["link"]


@pytest.mark.parametrize("name", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
async def test_a_certificate_is_issued_for_every_kind_of_account_key(here: Lab, name: str) -> None:
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    key: AccountKey = ed25519.Ed25519PrivateKey.generate()
    if name == "RS256":
        key = rsa.generate_private_key(65537, 2048)
    elif name in curves:
        key = ec.generate_private_key(curves[name])
    client = await registered(here, key)
    leaf = await issued(here, client, "a.example.test", "example.test", "127.0.0.1")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.test", "example.test"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert here.ledger.find(leaf.serial_number) is not None


async def test_an_account_is_made_once_for_a_key(here: Lab) -> None:
    client = here.client()
    first = await client.register(contact=["mailto:a@example.test"])
    again = await Client(here.app, client.key).register()
    assert (first.status, again.status) == (201, 200)
    assert first.header("location") == again.header("location")
    assert again.json["contact"] == ["mailto:a@example.test"]
    assert again.json["orders"] == client.kid + "/orders"


async def test_only_an_existing_account_is_returned_when_that_is_asked(here: Lab) -> None:
    assert (await here.client().register(onlyReturnExisting=True)).problem == "accountDoesNotExist"


@pytest.mark.parametrize(
    ("contact", "problem"),
    [
        (["tel:+1"], "unsupportedContact"),
        (["mailto:a@b.test,c@d.test"], "invalidContact"),
        (["mailto:a@b.test?subject=x"], "invalidContact"),
        ("mailto:a@b.test", "malformed"),
        ([1], "malformed"),
    ],
)
async def test_odd_contacts_are_refused(here: Lab, contact: object, problem: str) -> None:
    assert (await here.client().register(contact=contact)).problem == problem


async def test_an_account_is_updated_and_deactivated(here: Lab) -> None:
    client = await registered(here)
    changed = await client.post(client.kid, {"contact": ["mailto:x@example.test"]})
    assert changed.json["contact"] == ["mailto:x@example.test"]
    gone = await client.post(client.kid, {"status": "deactivated"})
    assert gone.json["status"] == "deactivated"
    after = await client.post(client.kid, None)
    assert (after.status, after.problem) == (401, "unauthorized")
    assert (await Client(here.app, client.key).register()).status == 401


@pytest.mark.parametrize("status", ["valid", "revoked", "", None, 1, [], {}, ["deactivated"]])
async def test_only_deactivation_changes_an_account_s_status(here: Lab, status: object) -> None:
    """RFC 8555, 7.3.2: any other update of it is ignored."""
    client = await registered(here)
    same = await client.post(client.kid, {"status": status, "orders": [], "new": {}})
    assert (same.status, same.json["status"]) == (200, "valid")


async def test_a_nonce_counts_once_in_every_process_and_not_for_ever(here: Lab) -> None:
    client = await registered(here)
    used = client.nonce
    assert (await client.post(client.kid, None)).status == 200
    replay = await client.post(client.kid, None, nonce=used)
    assert replay.problem == "badNonce"
    assert replay.header("replay-nonce")
    other = here.again()
    client.app = other.app
    assert (await client.post(client.kid, None, nonce=used)).problem == "badNonce"
    assert (await client.post(client.kid, None)).status == 200  # the other process takes what the first gave
    here.clock.advance(timedelta(hours=2))
    assert (await client.post(client.kid, None)).problem == "badNonce"
    for odd in ("", "x" * 54, 5, None):
        assert (await client.post(client.kid, None, nonce=odd)).problem == "badNonce"


async def test_a_request_for_another_url_is_refused(here: Lab) -> None:
    client = await registered(here)
    reply = await client.post(client.kid, None, url=f"{BASE}/acme/new-order")
    assert reply.problem == "unauthorized"


async def test_what_signs_must_be_said_once_and_as_the_resource_wants(here: Lab) -> None:
    client = await registered(here)
    assert (await client.post(client.kid, None, jwk=jwk_of(client.key))).problem == "malformed"
    assert (await client.post(client.kid, None, kid=None)).problem == "malformed"
    assert (await client.post(f"{BASE}/acme/new-account", {})).problem == "malformed"
    assert (await client.post(f"{BASE}/acme/new-order", {}, key=client.key)).problem == "malformed"
    unknown = f"{BASE}/acme/account/{'0' * 32}"
    assert (await client.post(client.kid, None, kid=unknown)).problem == "accountDoesNotExist"
    assert (await client.post(client.kid, None, kid="nonsense")).problem == "accountDoesNotExist"


@pytest.mark.parametrize("alg", ["none", "HS256", "RS1", "ES384"])
async def test_other_algorithms_are_refused_with_the_list_of_good_ones(here: Lab, alg: str) -> None:
    reply = await here.client().post(f"{BASE}/acme/new-account", {}, alg=alg)
    assert reply.problem == "badSignatureAlgorithm"
    assert reply.json["algorithms"] == ["RS256", "ES256", "ES384", "ES512", "EdDSA"]


async def test_a_signature_by_another_key_is_refused(here: Lab) -> None:
    client = await registered(here)
    client.key = ec.generate_private_key(ec.SECP256R1())
    assert (await client.post(client.kid, None)).problem == "malformed"


async def test_weak_account_keys_are_refused(here: Lab) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    weak = {"kty": "RSA", "e": "AQAB", "n": b64((1 << 1023 | 1).to_bytes(128))}
    reply = await here.client(key).post(f"{BASE}/acme/new-account", {}, jwk=weak)
    assert reply.problem == "badPublicKey"


async def test_form_is_kept_sizes_and_types_and_methods(here: Lab) -> None:
    client = await registered(here)
    new_order = f"{BASE}/acme/new-order"
    assert (await client.raw(new_order, b"{}", "application/json")).status == 415
    assert (await client.raw(new_order, b"x" * (LARGEST_BODY + 1))).status == 413
    assert (await client.raw(new_order, b"[" * 100_000)).problem == "malformed"
    assert (await client.raw(new_order, b"\xff")).problem == "malformed"
    wrong = await call(here.app, "GET", new_order)
    assert (wrong.status, wrong.header("allow")) == (405, "POST")
    assert (await call(here.app, "POST", f"{BASE}/directory")).status == 405
    assert (await call(here.app, "GET", f"{BASE}/nothing")).status == 404
    header = await client.raw(new_order, json.dumps({**jws(client.key, {}, {}), "header": {}}).encode())
    assert header.problem == "malformed"


async def test_terms_have_to_be_agreed_to(tmp_path: Path) -> None:
    here = lab(tmp_path, terms=f"{BASE}/terms")
    refused = await here.client().register()
    assert refused.problem == "userActionRequired"
    assert f'<{BASE}/terms>;rel="terms-of-service"' in [value for name, value in refused.headers if name == "link"]
    assert (await here.client().register(termsOfServiceAgreed=True)).status == 201
    assert (await call(here.app, "GET", f"{BASE}/directory")).json["meta"] == {"termsOfService": f"{BASE}/terms"}


async def test_an_order_becomes_ready_when_all_is_proved(here: Lab) -> None:
    client = await registered(here)
    order = await client.order("a.example.test", "b.example.test")
    place = order.header("location")
    assert order.json["status"] == "pending"
    assert order.json["expires"] == "2026-03-05T10:20:30Z"
    first, second = order.json["authorizations"]
    early = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test", "b.example.test"))})
    assert early.problem == "orderNotReady"
    prove(here, id_of(first))
    assert (await client.post(place, None)).json["status"] == "pending"
    prove(here, id_of(second))
    assert (await client.post(place, None)).json["status"] == "ready"


async def test_a_failed_authorization_fails_the_order(here: Lab) -> None:
    client = await registered(here)
    order = await client.order("a.example.test")
    prove(here, id_of(order.json["authorizations"][0]), good=False)
    failed = await client.post(order.header("location"), None)
    assert failed.json["status"] == "invalid"
    assert failed.json["error"]["detail"] == "no"
    authorization = await client.post(order.json["authorizations"][0], None)
    assert authorization.json["status"] == "invalid"
    assert [one["status"] for one in authorization.json["challenges"]] == ["invalid"]


async def test_challenges_are_those_that_can_prove_the_identifier(here: Lab) -> None:
    client = await registered(here)
    order = await client.order("a.example.test", "*.w.example.test", "127.0.0.1")
    kinds = []
    for url in order.json["authorizations"]:
        found = (await client.post(url, None)).json
        kinds.append(
            (found["identifier"]["value"], found.get("wildcard"), {one["type"] for one in found["challenges"]})
        )
    assert kinds == [
        ("a.example.test", None, {"http-01", "dns-01", "tls-alpn-01"}),
        ("w.example.test", True, {"dns-01"}),
        ("127.0.0.1", None, {"http-01", "tls-alpn-01"}),
    ]


async def test_a_challenge_is_answered_once(here: Lab) -> None:
    client = await registered(here)
    order = await client.order("a.example.test")
    authorization = (await client.post(order.json["authorizations"][0], None)).json
    url = authorization["challenges"][0]["url"]
    assert (await client.post(url, None)).json["status"] == "pending"
    answered = await client.post(url, {})
    assert answered.json["status"] == "processing"
    assert answered.header("retry-after") == "1"
    links = [value for name, value in answered.headers if name == "link"]
    assert f'<{order.json["authorizations"][0]}>;rel="up"' in links
    assert (await client.post(url, {})).json["status"] == "processing"


async def test_an_authorization_can_be_given_up(here: Lab) -> None:
    client = await registered(here)
    order = await client.order("a.example.test")
    url = order.json["authorizations"][0]
    assert (await client.post(url, {"status": "valid"})).problem == "malformed"
    assert (await client.post(url, {"status": "deactivated"})).json["status"] == "deactivated"
    assert (await client.post(order.header("location"), None)).json["status"] == "invalid"


async def test_what_is_proved_is_used_again_until_it_expires(here: Lab) -> None:
    client = await registered(here)
    await issued(here, client, "a.example.test")
    again = await client.order("a.example.test")
    assert again.json["status"] == "ready"
    here.clock.advance(timedelta(hours=25))
    client.nonce = ""
    late = await client.order("a.example.test")
    assert late.json["status"] == "pending"
    assert late.json["authorizations"] != again.json["authorizations"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["other.test"], "rejectedIdentifier"),
        (["secret.example.test"], "rejectedIdentifier"),
        (["*.other.test"], "rejectedIdentifier"),
        (["*.example.test"], "rejectedIdentifier"),  # it would stand for the secret one, too
        (["10.0.0.1"], "rejectedIdentifier"),
        (["ex ample.test"], "malformed"),
        (["a..example.test"], "malformed"),
        (["*.*.example.test"], "malformed"),
        (["bücher.example.test"], "malformed"),
        ([], "malformed"),
    ],
)
async def test_identifiers_outside_the_policy_are_refused(here: Lab, names: list[str], problem: str) -> None:
    client = await registered(here)
    assert (await client.order(*names)).problem == problem


async def test_several_refused_identifiers_are_named_one_by_one(here: Lab) -> None:
    client = await registered(here)
    reply = await client.order("a.other.test", "a.example.test", "b.other.test")
    assert reply.problem == "rejectedIdentifier"
    assert [one["identifier"]["value"] for one in reply.json["subproblems"]] == ["a.other.test", "b.other.test"]
    odd = await client.post(f"{BASE}/acme/new-order", {"identifiers": [{"type": "email", "value": "a@b"}]})
    assert odd.problem == "unsupportedIdentifier"


@pytest.mark.parametrize(
    "request_der",
    [
        csr("a.example.test", "b.example.test"),
        csr("b.example.test"),
        csr("a.example.test", common_name="b.example.test"),
        csr("a.example.test", common_name="Company"),
        csr(),
        csr("a.example.test", key=ec.generate_private_key(ec.SECP256K1())),
        csr("a.example.test")[:-1] + b"\0",
        b"",
        b"\x30\x80",
    ],
)
async def test_a_csr_that_does_not_fit_is_refused_and_the_order_stays_ready(here: Lab, request_der: bytes) -> None:
    client = await registered(here)
    order = await ready_order(here, client, "a.example.test")
    assert (await client.post(order.json["finalize"], {"csr": b64(request_der)})).problem == "badCSR"
    assert (await client.post(order.header("location"), None)).json["status"] == "ready"
    assert not here.ledger.rows


async def test_the_account_key_is_no_certificate_key(here: Lab) -> None:
    client = await registered(here)
    order = await ready_order(here, client, "a.example.test")
    reply = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test", key=client.key))})
    assert reply.problem == "badCSR"


async def test_a_common_name_alone_names_the_order(here: Lab) -> None:
    client = await registered(here)
    order = await ready_order(here, client, "a.example.test")
    done = await client.post(order.json["finalize"], {"csr": b64(csr(common_name="A.example.test"))})
    assert done.json["status"] == "valid"


async def test_finalizing_twice_issues_once(here: Lab) -> None:
    client = await registered(here)
    order = await ready_order(here, client, "a.example.test")
    wanted = {"csr": b64(csr("a.example.test"))}
    first = await client.post(order.json["finalize"], wanted)
    again = await client.post(order.json["finalize"], wanted)
    assert first.json == again.json
    assert len(here.ledger.rows) == 1
    other = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test"))})
    assert other.problem == "orderNotReady"


@pytest.mark.parametrize("recorded", [False, True])
async def test_a_crash_while_issuing_leaves_one_certificate(
    here: Lab, *, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await registered(here)
    order = await ready_order(here, client, "a.example.test")
    wanted = {"csr": b64(csr("a.example.test"))}
    if recorded:
        monkeypatch.setattr(here.store, "finish_order", lambda *_a, **_k: (_ for _ in ()).throw(OSError("killed")))
    else:
        monkeypatch.setattr(here.ledger, "record", lambda *_a, **_k: (_ for _ in ()).throw(OSError("killed")))
    broken = await client.post(order.json["finalize"], wanted)
    assert (broken.status, broken.problem) == (500, "serverInternal")
    assert b"killed" not in broken.body
    assert len(here.ledger.rows) == recorded
    monkeypatch.undo()
    client.app = here.again().app
    ended = await client.post(order.header("location"), None)
    assert ended.json["status"] == "valid"
    assert len(here.ledger.rows) == 1
    leaf = x509.load_pem_x509_certificate((await client.post(ended.json["certificate"], None)).body)
    assert list(here.ledger.rows) == [leaf.serial_number]


async def test_dates_of_an_order_are_held_to_the_profile(here: Lab) -> None:
    client = await registered(here)
    leaf = await issued(
        here, client, "a.example.test", notBefore="2026-03-04T10:20:00Z", notAfter="2026-03-05T00:00:00+01:00"
    )
    assert leaf.not_valid_before_utc.isoformat() == "2026-03-04T10:20:00+00:00"
    assert leaf.not_valid_after_utc.isoformat() == "2026-03-04T23:00:00+00:00"
    for fields in (
        {"notAfter": "2026-03-20T00:00:00Z"},
        {"notAfter": "2026-03-04T10:00:00Z"},
        {"notBefore": "2026-03-01T00:00:00Z"},
        {"notBefore": "2026-05-01T00:00:00Z"},
        {"notBefore": "tomorrow"},
        {"notAfter": 5},
        {"notAfter": "2026-13-01T00:00:00Z"},
    ):
        assert (await client.order("a.example.test", **fields)).problem == "malformed"


async def test_a_profile_is_chosen_among_those_offered(tmp_path: Path) -> None:
    here = lab(tmp_path, profiles={"short": "two hours"})
    client = await registered(here)
    leaf = await issued(here, client, "a.example.test", profile="short")
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=2)
    assert (await client.order("a.example.test", profile="picky")).problem == "invalidProfile"


async def test_the_profiles_own_names_count(tmp_path: Path) -> None:
    here = lab(tmp_path, profile="picky")
    client = await registered(here)
    assert (await client.order("bad.example.test")).problem == "rejectedIdentifier"
    await issued(here, client, "good.example.test")


async def test_others_see_nothing(here: Lab) -> None:
    client, other = await registered(here), await registered(here)
    order = await ready_order(here, client, "a.example.test")
    urls = [order.header("location"), order.json["authorizations"][0], client.kid, client.kid + "/orders"]
    for url in urls:
        assert (await other.post(url, None)).problem == "unauthorized"
    assert (await other.post(f"{BASE}/acme/order/{'0' * 32}", None)).status == 404


async def test_orders_are_listed_in_pages(here: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundplane.pki.acme.accounts._PAGE", 2)
    client = await registered(here)
    made = {(await client.order(f"{name}.example.test")).header("location") for name in "abc"}
    seen: set[str] = set()
    url = client.kid + "/orders"
    while url:
        page = await client.post(url, None)
        seen |= set(page.json["orders"])
        following = [value for _, value in page.headers if 'rel="next"' in value]
        url = following[0][1:].partition(">")[0] if following else ""
    assert seen == made


async def change_key(client: Client, new: AccountKey, **changes: Any) -> Reply:
    url = f"{BASE}/acme/key-change"
    header = {"jwk": jwk_of(new), "url": changes.pop("url", url)}
    payload = {"account": client.kid, "oldKey": jwk_of(client.key), **changes}
    return await client.post(url, json.dumps(jws(new, header, payload)).encode())


async def test_the_key_of_an_account_is_changed(here: Lab) -> None:
    client, other = await registered(here), await registered(here)
    new = rsa.generate_private_key(65537, 2048)
    assert (await change_key(client, new, oldKey=jwk_of(new))).problem == "malformed"
    assert (await change_key(client, new, account=other.kid)).problem == "malformed"
    assert (await change_key(client, new, url=client.kid)).problem == "malformed"
    taken = await change_key(client, other.key)
    assert (taken.status, taken.header("location")) == (409, other.kid)
    assert (await change_key(client, new)).status == 200
    assert (await client.post(client.kid, None)).problem == "badSignatureAlgorithm"  # the old key is nobody's now
    client.key = new
    assert (await client.post(client.kid, None)).status == 200


async def test_an_external_account_is_bound(tmp_path: Path) -> None:
    import hmac

    (tmp_path / "key").write_text("x")
    secret = b"s" * 32
    external = {"required": True, "keys": {"kid-1": "key"}}
    here = lab(tmp_path, external_accounts=external, external_keys={"kid-1": secret})

    def bound(client: Client, *, key: bytes = secret, kid: str = "kid-1", url: str = f"{BASE}/acme/new-account") -> Any:
        protected = b64(json.dumps({"alg": "HS256", "kid": kid, "url": url}).encode())
        payload = b64(json.dumps(jwk_of(client.key)).encode())
        signature = hmac.digest(key, f"{protected}.{payload}".encode(), "sha256")
        return {"protected": protected, "payload": payload, "signature": b64(signature)}

    assert (await here.client().register()).problem == "externalAccountRequired"
    client, other = here.client(), here.client()
    for binding in (bound(client, key=b"t" * 32), bound(client, kid="kid-2"), bound(client, key=b"", kid="kid-2")):
        assert (await client.register(externalAccountBinding=binding)).problem == "unauthorized"
    assert (await client.register(externalAccountBinding=bound(other))).problem == "malformed"
    assert (await client.register(externalAccountBinding=bound(client, url=BASE))).problem == "malformed"
    made = await client.register(externalAccountBinding=bound(client))
    assert made.status == 201
    assert set(made.json["externalAccountBinding"]) == {"protected", "payload", "signature"}
    assert (await other.register(externalAccountBinding=bound(other))).problem == "unauthorized"


async def revoke(client: Client, leaf: x509.Certificate, *, key: AccountKey | None = None, **fields: object) -> Reply:
    payload = {"certificate": b64(leaf.public_bytes(Encoding.DER)), **fields}
    return await client.post(f"{BASE}/acme/revoke-cert", payload, key=key)


async def test_the_account_the_key_or_who_proved_the_names_revokes(here: Lab) -> None:
    client, other = await registered(here), await registered(here)
    key = ec.generate_private_key(ec.SECP256R1())
    first = await issued(here, client, "a.example.test", key=key)
    assert (await revoke(other, first)).problem == "unauthorized"
    assert (await revoke(client, first, reason=2)).problem == "badRevocationReason"
    assert (await revoke(client, first, reason=4)).status == 200
    assert here.ledger.reasons == {first.serial_number: 4}
    assert (await revoke(client, first)).problem == "alreadyRevoked"
    second = await issued(here, client, "a.example.test", key=key)
    assert (await revoke(other, second, key=other.key)).problem == "unauthorized"
    assert (await revoke(other, second, key=key)).status == 200
    third = await issued(here, client, "a.example.test")
    await issued(here, other, "a.example.test", "b.example.test")
    assert (await revoke(other, third)).status == 200
    fourth = await issued(here, client, "a.example.test", "c.example.test")
    assert (await revoke(other, fourth)).problem == "unauthorized"


async def test_a_strange_certificate_is_not_revoked(here: Lab, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    elsewhere = lab(tmp_path / "other")
    theirs = await issued(elsewhere, await registered(elsewhere), "a.example.test")
    client = await registered(here)
    assert (await revoke(client, theirs)).status == 404
    assert (await client.post(f"{BASE}/acme/revoke-cert", {"certificate": "AAAA"})).problem == "malformed"


def certificate_id(here: Lab, leaf: x509.Certificate) -> str:
    serial = leaf.serial_number
    return f"{b64(here.issuer.key_id)}.{b64(serial.to_bytes(serial.bit_length() // 8 + 1))}"


async def test_renewal_information_is_given_and_a_replacement_counts_once(here: Lab) -> None:
    client = await registered(here)
    leaf = await issued(here, client, "a.example.test")
    mine = certificate_id(here, leaf)
    reply = await call(here.app, "GET", f"{BASE}/acme/renewal-info/{mine}")
    assert reply.status == 200
    assert reply.header("retry-after") == "21600"
    window = reply.json["suggestedWindow"]
    assert (
        leaf.not_valid_before_utc.isoformat() < window["start"] < window["end"] < leaf.not_valid_after_utc.isoformat()
    )
    assert (await call(here.app, "GET", f"{BASE}/acme/renewal-info/AAAA.AAAA")).status == 404
    assert (await call(here.app, "GET", f"{BASE}/acme/renewal-info/nonsense")).status == 400
    assert (await client.order("a.example.test", replaces=mine)).json["replaces"] == mine
    twice = await client.order("a.example.test", replaces=mine)
    assert (twice.status, twice.problem) == (409, "alreadyReplaced")
    other = await registered(here)
    assert (await other.order("a.example.test", replaces=mine)).problem == "unauthorized"
    await revoke(client, leaf)
    at_once = (await call(here.app, "GET", f"{BASE}/acme/renewal-info/{mine}")).json["suggestedWindow"]
    assert at_once["end"] < START.isoformat()


async def test_limits_hold(tmp_path: Path) -> None:
    limits = {"orders_per_account": 2, "accounts_per_address": 2, "failures_per_identifier": 1}
    here = lab(tmp_path, limits=limits)
    client = await registered(here)
    prove(here, id_of((await client.order("a.example.test")).json["authorizations"][0]), good=False)
    failed = await client.order("a.example.test")
    assert (failed.status, failed.problem, failed.header("retry-after")) == (429, "rateLimited", "10800")
    assert (await client.order("b.example.test")).status == 201
    assert (await client.order("c.example.test")).problem == "rateLimited"
    other = await registered(here)
    assert (await here.client().register()).problem == "rateLimited"
    assert (await other.order("b.example.test")).status == 201
    here.clock.advance(timedelta(hours=4))
    client.nonce = ""
    assert (await client.order("c.example.test")).status == 201


async def test_an_address_that_asks_too_often_waits(tmp_path: Path) -> None:
    here = lab(tmp_path, limits={"requests": 1})
    replies = [await call(here.app, "GET", f"{BASE}/directory") for _ in range(8)]
    assert replies[0].status == 200
    assert (replies[-1].status, replies[-1].problem) == (429, "rateLimited")
