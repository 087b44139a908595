"""A profile's logs hear of what the ACME server issues; a log that is away delays an order, and does not end it."""

import asyncio
from dataclasses import replace
from pathlib import Path

from cryptography import x509

from groundplane.pki.acme.config import Validation
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.validation import Validator
from groundplane.pki.acme.worker import Worker
from tests.support.acme import FakeDNS, b64, csr, id_of, lab, prove
from tests.unit.pki_ct.log_server import running


async def test_an_order_waits_for_a_log_that_is_away(tmp_path: Path) -> None:
    here = lab(tmp_path)
    ca, usual = here.authority.certificate, here.issuer._policy
    client = here.client()
    await client.register()
    with running() as log:
        logged = {name: replace(one, ct_logs=(log.url,)) for name, one in usual.profiles.items()}
        policy = replace(usual, default=replace(usual.default, ct_logs=(log.url,)), profiles=logged)
        signer, default = here.issuer._signer, here.issuer._default
        issuer = Issuer([ca], signer, policy=policy, default_profile=default, ledger=here.ledger)
        object.__setattr__(here.context, "issuer", issuer)
        order = await client.order("a.example.test")
        prove(here, id_of(order.json["authorizations"][0]))
        log.answers.append((400, {}, b""))
        refused = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test"))})
        assert (refused.status, log.seen) == (503, [])
        worker = Worker(here.context, Validator(Validation(), resolver=FakeDNS()), wake=asyncio.Event())
        log.answers.append((400, {}, b""))
        worker._tidy()  # still away: said in the log, and tried again later
        assert log.seen == []
        worker._tidy()
        (seen,) = log.seen
        done = await client.post(order.header("location"), None)
        assert done.json["status"] == "valid"
    (leaf, *_) = x509.load_pem_x509_certificates((await client.post(done.json["certificate"], None)).body)
    words = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    assert [word.log_id for word in words] == [log.id]
    assert leaf.serial_number == seen.serial_number
