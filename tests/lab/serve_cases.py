"""Calls to `cfssl serve`, good and bad: what both servers must answer alike, or docs/cfssl.md says why not."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

HEX_KEY = "0123456789abcdef0123456789ABCDEF"
CONFIG = {
    "signing": {
        "default": {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth"]},
        "profiles": {
            "www": {"expiry": "87h", "usages": ["server auth", "signing"], "ocsp_url": "http://o.example"},
            "auth": {"expiry": "87h", "usages": ["client auth"], "auth_key": "k"},
            "named": {"expiry": "87h", "usages": ["signing"], "name_whitelist": r"^ok\."},
            "serial": {"expiry": "87h", "usages": ["signing"], "ClientProvidesSerialNumbers": True},
            "none": {"expiry": "87h", "usages": ["any"], "crl_url": "http://c.example"},
        },
    },
    "auth_keys": {"k": {"type": "standard", "key": HEX_KEY}},
}


OLD_API = "The API in 1.2.0"


@dataclass(frozen=True)
class Call:
    """`differs` is a heading of docs/cfssl.md; `newer`: CFSSL 1.2.0 has no such thing."""

    name: str
    endpoint: str
    body: bytes | None = None
    method: str = "POST"
    differs: str = ""
    newer: str = ""
    log: bool = True
    headers: dict[str, str] = field(default_factory=dict)


def calls(files: dict[str, str]) -> list[Call]:
    """`files`: requests and certificates in PEM, by name."""
    csr, rsa = files["leaf.csr"], files["rleaf.csr"]
    return [
        *_verbs(),
        *_sign(csr, rsa, files),
        *_authsign(csr),
        *_generated(),
        *_looked_at(files),
        *_lists(files),
    ]


def _verbs() -> list[Call]:
    posted = ("sign", "authsign", "info", "newcert", "newkey", "init_ca", "certinfo", "gencrl", "bundle")
    bad = (b"", b"{", b"[]", b"null", b'"x"', b'{"a":', b"{} x", b"\xff", b'{"a":01}')
    worded = {("gencrl", b"[]"), ("gencrl", b"null"), ("gencrl", b'"x"')}
    return [
        *(Call(f"{name} by {verb}", name, method=verb) for name in posted for verb in ("GET", "PUT", "DELETE")),
        *(
            Call(f"{name} of {body!r}", name, body, newer=OLD_API if (name, body) in worded else "")
            for name in posted
            for body in bad
            if (name, body) not in {("newcert", b"null"), ("newkey", b"null"), ("info", b"null"), ("init_ca", b"null")}
        ),
        Call("nothing there", "nothing", method="GET"),
        Call("nothing posted there", "nothing", b"{}"),
        Call("a folder", "", method="GET"),
        Call("two slashes", "/info", method="GET", log=False),
        Call("dots", "../cfssl/info", method="GET", log=False),
    ]


def _sign(csr: str, rsa: str, files: dict[str, str]) -> list[Call]:
    ask: list[tuple[str, dict[str, Any]]] = [
        ("plain", {"certificate_request": csr}),
        ("rsa", {"certificate_request": rsa}),
        ("hosts", {"certificate_request": csr, "hosts": ["x.example", "10.0.0.1", "a@b.c"]}),
        ("no hosts", {"certificate_request": csr, "hosts": []}),
        ("null hosts", {"certificate_request": csr, "hosts": None}),
        ("hostname", {"certificate_request": csr, "hostname": "h.example,::1"}),
        ("hostname wins", {"certificate_request": csr, "hostname": "h.example", "hosts": ["other"]}),
        ("empty hostname", {"certificate_request": csr, "hostname": "", "hosts": ["other"]}),
        ("hosts of the wrong kind", {"certificate_request": csr, "hosts": "x"}),
        ("hosts with a number", {"certificate_request": csr, "hosts": [1]}),
        ("subject", {"certificate_request": csr, "subject": {"CN": "new", "names": [{"O": "o", "C": "DE"}]}}),
        ("subject with serial", {"certificate_request": csr, "subject": {"SerialNumber": "77"}}),
        ("empty subject", {"certificate_request": csr, "subject": {}}),
        ("null subject", {"certificate_request": csr, "subject": None}),
        ("profile", {"certificate_request": csr, "profile": "www"}),
        ("profile of lists", {"certificate_request": csr, "profile": "none"}),
        ("unknown profile", {"certificate_request": csr, "profile": "what"}),
        ("locked profile", {"certificate_request": csr, "profile": "auth"}),
        ("refused name", {"certificate_request": csr, "profile": "named"}),
        (
            "allowed name",
            {"certificate_request": csr, "profile": "named", "hosts": ["ok.x"], "subject": {"CN": "ok.y"}},
        ),
        ("serial missing", {"certificate_request": csr, "profile": "serial"}),
        ("serial given", {"certificate_request": csr, "profile": "serial", "serial": 12345678901234567890}),
        ("serial as text", {"certificate_request": csr, "profile": "serial", "serial": "123"}),
        ("serial as fraction", {"certificate_request": csr, "profile": "serial", "serial": 1.5}),
        ("serial unasked", {"certificate_request": csr, "serial": 5}),
        ("label", {"certificate_request": csr, "label": "l"}),
        ("bundle", {"certificate_request": csr, "bundle": True}),
        ("bundle as text", {"certificate_request": csr, "bundle": "yes"}),
        ("unknown field", {"certificate_request": csr, "more": 1}),
        ("other case", {"CERTIFICATE_REQUEST": csr, "Profile": "www"}),
        ("nothing", {}),
        ("empty request", {"certificate_request": ""}),
        ("request of the wrong kind", {"certificate_request": 1}),
        ("no PEM", {"certificate_request": "hello"}),
        ("a certificate", {"certificate_request": files["ca.pem"]}),
        ("text around", {"certificate_request": f"before\n{csr}after\n"}),
        ("old label", {"certificate_request": csr.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")}),
        ("forged", {"certificate_request": files["forged.csr"]}),
        ("a CA", {"certificate_request": files["wants-ca.csr"]}),
    ]
    newer = {"bundle", "bundle as text", "a certificate"}
    return [
        Call(f"sign {name}", "sign", json.dumps(body).encode(), newer=OLD_API if name in newer else "")
        for name, body in ask
    ]


def sealed(request: object, *, key: str = HEX_KEY, token: bytes | None = None, **more: object) -> bytes:
    """The body of authsign."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    made = hmac.digest(bytes.fromhex(key), body, hashlib.sha256) if token is None else token
    fields = {"token": base64.b64encode(made).decode(), "request": base64.b64encode(body).decode(), **more}
    return json.dumps(fields).encode()


def _authsign(csr: str) -> list[Call]:
    good = {"certificate_request": csr, "profile": "auth", "hosts": ["x.example"]}
    bodies = [
        ("good", sealed(good)),
        ("with timestamp", sealed(good, timestamp=1)),
        ("with address", sealed(good, remote_address="MTI3LjAuMC4x")),
        ("wrong key", sealed(good, key="00" * 16)),
        ("empty token", sealed(good, token=b"")),
        ("short token", sealed(good, token=b"abc")),
        (
            "null token",
            json.dumps({"token": None, "request": base64.b64encode(json.dumps(good).encode()).decode()}).encode(),
        ),
        ("open profile", sealed({**good, "profile": "www"})),
        ("default profile", sealed({**good, "profile": ""})),
        ("unknown profile", sealed({**good, "profile": "what"})),
        ("no request inside", sealed({"profile": "auth"})),
        ("no JSON inside", sealed(b"hello")),
        ("nothing inside", sealed(b"")),
        ("wrong kind inside", sealed({**good, "hosts": "x"})),
        ("bundle", sealed({**good, "bundle": True})),
        ("bad base64", b'{"token":"!!","request":"e30="}'),
        ("bad base64 at the end", b'{"token":"e30","request":"e30="}'),
        ("timestamp as text", sealed(good, timestamp="x")),
        ("request as number", b'{"token":"e30=","request":1}'),
        ("empty", b"{}"),
    ]
    return [
        Call(f"authsign {name}", "authsign", body, newer=OLD_API if name == "bundle" else "") for name, body in bodies
    ]


def _generated() -> list[Call]:
    ec, rsa = {"algo": "ecdsa", "size": 256}, {"algo": "rsa", "size": 2048}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("plain", {"CN": "a", "hosts": ["a.example"], "key": ec}),
        ("rsa", {"CN": "a", "hosts": ["a.example"], "key": rsa}),
        ("names", {"CN": "a", "hosts": ["a"], "names": [{"C": "US", "O": "o"}, {"O": "p"}], "key": ec}),
        ("no hosts", {"CN": "a", "key": ec}),
        ("empty hosts", {"CN": "a", "hosts": [], "key": ec}),
        ("an empty host", {"CN": "a", "hosts": [""], "key": ec}),
        ("no key", {"CN": "a", "hosts": ["a"]}),
        ("null key", {"CN": "a", "hosts": ["a"], "key": None}),
        ("weak key", {"CN": "a", "hosts": ["a"], "key": {"algo": "rsa", "size": 1024}}),
        ("large key", {"CN": "a", "hosts": ["a"], "key": {"algo": "rsa", "size": 16384}}),
        ("odd curve", {"CN": "a", "hosts": ["a"], "key": {"algo": "ecdsa", "size": 111}}),
        ("odd algorithm", {"CN": "a", "hosts": ["a"], "key": {"algo": "dsa", "size": 2048}}),
        ("a ca section", {"CN": "a", "hosts": ["a"], "key": ec, "ca": {"expiry": "1h"}}),
        ("serial number", {"CN": "a", "serialnumber": "5", "hosts": ["a"], "key": ec}),
        ("nothing", {}),
    ]
    return [
        *(Call(f"newkey {name}", "newkey", json.dumps(body).encode()) for name, body in requests),
        *(Call(f"newcert {name}", "newcert", json.dumps({"request": body}).encode()) for name, body in requests),
        *(
            Call(
                f"newcert with {more}",
                "newcert",
                json.dumps({"request": requests[0][1], **more}).encode(),
                newer=OLD_API if "bundle" in more else "",
            )
            for more in (
                {"profile": "www"},
                {"profile": "auth"},
                {"profile": "what"},
                {"profile": "named"},
                {"profile": "serial"},
                {"label": "l"},
                {"bundle": True},
                {"profile": 1},
            )
        ),
        Call("newcert without a wrapper", "newcert", json.dumps(requests[0][1]).encode()),
        Call("newcert of null", "newcert", b'{"request":null}'),
        Call("newcert of nothing", "newcert", b"{}"),
        Call("newcert with a number", "newcert", b'{"request":{"CN":1}}'),
        Call("newcert with a bad key", "newcert", b'{"request":{"key":1}}', newer="The key's type in messages"),
        Call("newcert of a list", "newcert", b'{"request":[]}'),
        Call("newkey with a number", "newkey", b'{"CN":1}'),
        Call("init_ca plain", "init_ca", b'{"CN":"ca","key":{"algo":"ecdsa","size":256}}'),
        Call("init_ca for long", "init_ca", b'{"CN":"ca","ca":{"expiry":"99h","pathlen":2},"names":[{"O":"x"}]}'),
        Call("init_ca with hosts", "init_ca", b'{"CN":"ca","hosts":["a.example","10.0.0.1"]}'),
        Call("init_ca without a subject", "init_ca", b'{"names":[{}]}'),
        Call("init_ca of nothing", "init_ca", b"{}"),
        Call("init_ca with a bad expiry", "init_ca", b'{"CN":"ca","ca":{"expiry":"1y"}}'),
        Call("init_ca with a weak key", "init_ca", b'{"CN":"ca","key":{"algo":"rsa","size":512}}'),
    ]


def _looked_at(files: dict[str, str]) -> list[Call]:
    ca = files["ca.pem"]
    return [
        *(Call(f"info {body!r}", "info", body) for body in (b"{}", b'{"label":""}', b'{"profile":"www"}')),
        *(Call(f"info {body!r}", "info", body) for body in (b'{"profile":"what"}', b'{"profile":"auth"}')),
        Call("info with a number", "info", b'{"label":1}'),
        Call("certinfo", "certinfo", json.dumps({"certificate": ca}).encode()),
        Call("certinfo twice", "certinfo", json.dumps({"certificate": ca + ca}).encode(), newer=OLD_API),
        Call("certinfo of nothing", "certinfo", b"{}"),
        Call("certinfo of an empty one", "certinfo", b'{"certificate":""}', newer=OLD_API),
        Call("certinfo of null", "certinfo", b'{"certificate":null}', newer=OLD_API),
        Call("certinfo of a number", "certinfo", b'{"certificate":1}'),
        Call(
            "certinfo of a request", "certinfo", json.dumps({"certificate": files["leaf.csr"]}).encode(), newer=OLD_API
        ),
        Call("certinfo of half a name", "certinfo", b'{"serial":"1"}'),
        Call("certinfo of a record", "certinfo", b'{"serial":"1","authority_key_id":"aa"}', newer=OLD_API),
        Call("bundle of nothing", "bundle", b"{}"),
        Call("bundle of no PEM", "bundle", b'{"certificate":"x"}', newer=OLD_API),
        Call("health", "health", method="GET", newer=OLD_API),
        Call("health posted", "health", b"", newer=OLD_API),
    ]


def _lists(files: dict[str, str]) -> list[Call]:
    whole: dict[str, Any] = {
        "certificate": files["ca.pem"],
        "issuingKey": files["ca-key.pem"],
        "serialNumber": ["1", "22", "333"],
        "expireTime": "3600",
    }
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("whole", whole),
        ("without an end", {**whole, "expireTime": ""}),
        ("with blanks", {**whole, "expireTime": " 60 "}),
        ("in hex", {**whole, "expireTime": "0x100"}),
        ("with a bad end", {**whole, "expireTime": "soon"}),
        ("without serials", {**whole, "serialNumber": []}),
        ("without a key", {**whole, "issuingKey": ""}),
        ("without a certificate", {**whole, "certificate": ""}),
        ("of the wrong kind", {**whole, "serialNumber": "1"}),
    ]
    return [
        *(
            Call(
                f"gencrl {name}",
                "gencrl",
                json.dumps(body).encode(),
                newer=OLD_API if name in {"without a key", "without a certificate"} else "",
            )
            for name, body in bodies
        ),
        Call("certadd of nothing", "certadd", b"{}", newer=OLD_API),
        Call("certadd of no JSON", "certadd", b"x", newer=OLD_API),
        Call("crl without a database", "crl", method="GET"),
        Call("revoke without a database", "revoke", b"{}"),
        Call("ocspsign without a responder", "ocspsign", b"{}"),
    ]
