"""What is asked of both programs: by hand, and drawn at random from a fixed seed."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

CA = ("-ca=ca.pem", "-ca-key=ca-key.pem")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call. `differs` names the paragraph of docs/cfssl.md that says why the two answers are not the same.

    `differs` is about Debian's 1.2.0; see `DIFFERS_FROM_NEWER` for 1.6.5.
    """

    name: str
    argv: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    differs: str = ""


# The same for CFSSL 1.6.5, which tools/conformance/cfssl.py builds.
DIFFERS_FROM_NEWER = {
    "host 'b\xfccher.de'": "Panics",
    "policy with a date that is none": "Texts of newer Go",
    "cfssl certinfo -csr=ca.csr": "Texts of newer Go",
    "cfssl version": "Versions",
    "a damaged request": "Words of refusals",
    "cfssljson a number": "Panics",
}


def policy(profile: object, **further: object) -> str:
    return json.dumps({"signing": {"default": profile}, **further})


def _plain(name: str, *argv: str, stdin: str = "", differs: str = "", **files: str) -> Case:
    return Case(
        name=name,
        argv=argv,
        stdin=stdin,
        differs=differs,
        files={file.replace("__", "."): text for file, text in files.items()},
    )


LEAF = '{"CN":"x","hosts":["a.com","10.0.0.1"],"names":[{"C":"US","O":"b"}]}'
BAD_JSON = (
    *("", "{", "[]", "xyz", '"s"', "5", "null", "{} x", '{"CN":"a",}', '{"CN":tru}', "{'a':1}", '{"CN":"a"', "[1,]"),
    *('{"CN":"a" "b":1}', '{"CN":"\\x"}', '{"CN":"a\nb"}', '{"CN":"\\u12g4"}', '{"CN":1}', '{"hosts":"a"}', "{é}"),
    *('{"hosts":[1]}', '{"names":{}}', '{"names":[1]}', '{"names":[{"C":1}]}', '{"ca":{"expiry":5}}', "-", "01", "1.e"),
    *('{"CN":"a","cn":"b"}', '{"cn":"b","hosts":null,"unknown":[1,{"a":2}]}', '{"key":null}', '{"ca":{}}', '{"a" 1}'),
    *('{"key":{"algo":"rsa"}}', '{"key":{"algo":"dsa","size":1}}', '{"key":{"size":255}}', '{"key":{"size":384}}'),
)
BAD_KEYS = ('{"key":{"size":"a"}}', '{"key":[]}', '{"key":{"size":1.5}}', '{"key":{"size":99999999999999999999}}')
ROOTS = (
    *('{"CN":""}', '{"names":[{}]}', '{"CN":"x","ca":{"expiry":"1y"}}', '{"CN":"x","ca":{"expiry":"5"}}'),
    *('{"CN":"x","key":{"algo":"rsa","size":1024}}', '{"CN":"x","key":{"algo":"rsa","size":9000}}'),
    *('{"CN":"x","ca":{"expiry":"90m"}}', '{"names":[{"O":"only"}],"ca":{"pathlen":3}}', '{"names":[{"O":"a"},{}]}'),
    *('{"CN":"x","hosts":["1.2.3.4","d.com"],"ca":{"pathlenzero":true}}', '{"CN":"x","ca":{"expiry":""}}'),
    '{"CN":"x","ca":{"pathlen":2,"pathlenzero":true,"expiry":"10h"}}',
    *('{"CN":"x","ca":{"expiry":"0h"}}', '{"CN":"x","ca":{"expiry":"1ns"}}', '{"CN":"x","ca":{"pathlen":-1}}'),
    # Go reads what is given twice into one and the same variable.
    *('{"CN":"x","cn":"y"}', '{"key":{"algo":"ecdsa"},"key":{"size":384},"CN":"x"}', '{"CN":"x","CN":null}'),
    '{"CN":"x","names":[{"O":"a"},{"C":"US"}],"names":[{"OU":"b"}],"ca":{"expiry":"5h"},"ca":{"pathlen":1}}',
)
HOSTS = (
    *("a.com", "*.a.com", "10.0.0.1", "::1", "::ffff:1.2.3.4", "bob@example.com", "Bob <bob@example.com>", "my_host"),
    *("10.0.0.0/8", "1.2.3", "UPPER.com", "a b", " lead.com", "", "xn--bcher-kva.de", "fe80::1", "01.2.3.4"),
    *('"q q"@x.y', '"a \\" b" <"c\\"d"@x>', " a@b (c) ", "(c) a@b", "http://x y", "http://h:-1/", "https://x#f"),
)
_ONE_HOUR: dict[str, Any] = {"expiry": "1h", "usages": ["signing"]}
BAD_POLICIES: dict[str, str] = {
    "nothing": "{}",
    "no default": '{"signing":{}}',
    "empty": "",
    "cut off": "{",
    "no expiry": '{"signing":{"default":{}}}',
    "years": '{"signing":{"default":{"expiry":"1y"}}}',
    "an expiry of no unit": '{"signing":{"default":{"expiry":"15"}}}',
    "a profile without usages": '{"signing":{"default":{"expiry":"1h"},"profiles":{"p":{"expiry":"1h"}}}}',
    "unknown usages only": '{"signing":{"default":{"expiry":"1h"},"profiles":{"p":{"expiry":"1h","usages":["x"]}}}}',
    "a default without usages": json.dumps(
        {"signing": {"default": {"expiry": "1h"}, "profiles": {"p": {"expiry": "1h", "usages": ["any"]}}}}
    ),
    "no such key": policy({"expiry": "1h", "auth_key": "k"}),
    "no such remote": policy({"expiry": "1h", "remote": "k"}),
    "a broken pattern": policy({"expiry": "1h", "name_whitelist": "("}),
    "an array": '{"signing":[]}',
    "a number": policy({"expiry": 5}),
    "a number in a profile": '{"signing":{"default":{"expiry":"1h"},"profiles":{"p":{"usages":"x"}}}}',
    "a profile that is a number": '{"signing":{"default":{"expiry":"1h"},"profiles":{"p":5}}}',
    "a backdate that is none": policy({**_ONE_HOUR, "backdate": "x"}),
    "an unknown kind of key": policy({**_ONE_HOUR, "auth_key": "k"}, auth_keys={"k": {"type": "bogus", "key": "aa"}}),
    "a key that is not hex": policy(
        {**_ONE_HOUR, "auth_key": "k"}, auth_keys={"k": {"type": "standard", "key": "xyz"}}
    ),
    "an unknown qualifier": policy({**_ONE_HOUR, "Policies": [{"ID": "1.2.3", "Qualifiers": [{"Type": "z"}]}]}),
    "a policy that is no identifier": policy({**_ONE_HOUR, "Policies": [{"ID": "1.x"}]}),
    "an extension that is no identifier": policy({**_ONE_HOUR, "allowed_extensions": ["1.x"]}),
    "a date that is none": policy({**_ONE_HOUR, "not_before": "x"}),
    "no lifetime": policy({**_ONE_HOUR, "expiry": "0s"}),
    "a name not allowed": policy({**_ONE_HOUR, "name_whitelist": "^b"}),
    "a serial number to bring": policy({**_ONE_HOUR, "ClientProvidesSerialNumbers": True}),
    "no public key": policy({**_ONE_HOUR, "CSRWhitelist": {"Subject": True}}),
    "auth_remote without": policy({**_ONE_HOUR, "auth_remote": {"remote": "a", "auth_key": "b"}}),
}
GOOD_POLICIES: dict[str, str] = {
    "policies": policy(
        {
            **_ONE_HOUR,
            "Policies": [
                {"ID": "1.2.3"},
                {
                    "ID": "1.2.4",
                    "Qualifiers": [
                        {"Type": "id-qt-cps", "Value": "http://x"},
                        {"Type": "id-qt-unotice", "Value": "hi"},
                    ],
                },
            ],
        }
    ),
    "encipher only": policy({"expiry": "1h", "usages": ["encipher only"]}),
    "a usage twice": policy({"expiry": "1h", "usages": ["s/mime", "email protection", "signing", "signing", "any"]}),
    "decipher only": policy({"expiry": "1h", "usages": ["decipher only", "signing"]}),
    "a ca without end": policy({**_ONE_HOUR, "ca_constraint": {"is_ca": True, "max_path_len": -1}}),
    "soon over": policy({**_ONE_HOUR, "expiry": "1ns"}),
    "not yet": policy({**_ONE_HOUR, "backdate": "-1h"}),
    "profiles twice": json.dumps({"signing": {"default": _ONE_HOUR, "profiles": {"a": _ONE_HOUR}}})[:-2]
    + ',"profiles":{"b":{"expiry":"5h","usages":["any"]}},"default":{"expiry":"2h"}}}',
    "a ca in two parts": policy({**_ONE_HOUR, "usages": ["cert sign"], "ca_constraint": {"is_ca": True}}).replace(
        '"ca_constraint"', '"ca_constraint": {"max_path_len": 3}, "ca_constraint"'
    ),
    "a ca": policy({**_ONE_HOUR, "ca_constraint": {"is_ca": True, "max_path_len": 1}}),
    "addresses": policy(
        {
            **_ONE_HOUR,
            "ocsp_no_check": True,
            "crl_url": "http://c",
            "ocsp_url": "http://o",
            "issuer_urls": ["http://i", "http://j"],
        }
    ),
    "pinned": policy({**_ONE_HOUR, "not_before": "2026-01-01T00:00:00Z", "not_after": "2051-01-01T00:00:00Z"}),
    "only names": policy(
        {**_ONE_HOUR, "CSRWhitelist": {"PublicKey": True, "PublicKeyAlgorithm": True, "DNSNames": True}}
    ),
    "a name allowed": policy({**_ONE_HOUR, "name_whitelist": "."}),
    "unused remotes": json.dumps(
        {"signing": {"default": _ONE_HOUR, "profiles": {"r": {"remote": "z"}}}, "remotes": {"z": "localhost:1"}}
    ),
}


_SERVER: dict[str, Any] = {"expiry": "1h", "usages": ["signing", "server auth"]}
_FOR_SERVERS = {"ocsp_url": "http://o.com", "issuer_urls": ["http://i.com"], "Policies": [{"ID": "2.23.140.1.2.1"}]}
# 1.2.0 reads none of these fields; 1.6.5 reads the level as a word, and then cannot sign.
LINTING: dict[str, dict[str, Any]] = {
    "level 3": {"lint_error_level": 3},
    "level 4": {"lint_error_level": 4},
    "level 5": {"lint_error_level": 5},
    "level pass": {"lint_error_level": "pass"},
    "level error": {"lint_error_level": "error"},
    "level 7 as a word": {"lint_error_level": "fatal"},
    "level 6": {"lint_error_level": 6},
    "a whole certificate": {**_FOR_SERVERS, "lint_error_level": 5},
    "level 8": {"lint_error_level": 8},
    "level none": {"lint_error_level": "reserved"},
    "level of no such word": {"lint_error_level": "notice"},
    "level of no such kind": {"lint_error_level": True},
    "level not whole": {"lint_error_level": 1.5},
    "no such lint": {"ignored_lints": ["e_no_such_lint"]},
    "lints with blanks": {"ignored_lints": [" e_ext_san_missing "], "ignored_lint_sources": ["RFC5280 "]},
    "no such source": {"ignored_lint_sources": ["RFC1"]},
    "a source without a name": {"ignored_lint_sources": ["RFC3279"]},
}
# Here they are signed, as 1.2.0 signs all of them.
_SILENT = {"level error", "level 6", "level 7 as a word", "a whole certificate", "level none", "lints with blanks"}
_NOT_IN_NEWER = {"level 3", "level 4", "level 5", "level pass", "level error", "level 7 as a word", "level 6"}
DIFFERS_FROM_NEWER |= dict.fromkeys(
    (f"lint {name}" for name in (*_NOT_IN_NEWER, "a whole certificate", "level 8")), "Lints"
)


def _linting() -> list[Case]:
    request = json.dumps({"CN": "www.example.com", "hosts": ["www.example.com"]})
    return [
        _plain(
            f"lint {name}",
            *("cfssl", "gencert", *CA, "-config=p.json", "-profile=p", "leaf.json"),
            p__json=json.dumps({"signing": {"default": _SERVER, "profiles": {"p": {**_SERVER, **fields}}}}),
            leaf__json=request,
            differs="" if name in _SILENT else "Lints",
        )
        for name, fields in LINTING.items()
    ]


def by_hand() -> list[Case]:
    """The odd corners."""
    return [*_documents(), *_linting(), *_calls(), *_material(), *_unpacking()]


def _documents() -> list[Case]:
    found = [_plain(f"genkey {text!r}", "cfssl", "genkey", "-", stdin=text) for text in BAD_JSON]
    found += [
        _plain(f"genkey {text!r}", "cfssl", "genkey", "-", stdin=text, differs="The key's type in messages")
        for text in BAD_KEYS
    ]
    found += [_plain(f"initca {text!r}", "cfssl", "gencert", "-initca", "-", stdin=text) for text in ROOTS]
    found += [
        _plain(f"host {host!r}", "cfssl", "genkey", "-", stdin=json.dumps({"CN": "h", "hosts": [host]}))
        for host in HOSTS
    ]
    found += [
        _plain(f"host {host!r}", "cfssl", "genkey", "-", stdin=json.dumps({"CN": "h", "hosts": [host]}), differs=why)
        for host, why in (("https://x/y", "URIs"), ("localhost:80", "URIs"), ("bücher.de", "Panics"))
    ]
    found += [
        _plain(
            f"policy with {name}",
            *("cfssl", "sign", *CA, "-config=p.json", "o.csr"),
            p__json=text,
            differs="Whose error" if name == "no public key" else "",
        )
        for name, text in (BAD_POLICIES | GOOD_POLICIES).items()
    ]
    return found


def _calls() -> list[Case]:
    leaf = {"leaf__json": LEAF}
    root = {"root__json": '{"CN":"r","ca":{"expiry":"9h"}}'}
    two = json.dumps(
        {"signing": {"default": _ONE_HOUR, "profiles": {"p": {"expiry": "2h", "usages": ["server auth"]}}}}
    )
    rows: list[tuple[str, ...]] = [
        ("cfssl", "gencert"),
        ("cfssl", "gencert", "-initca", "nofile"),
        ("cfssl", "gencert", "leaf.json"),
        ("cfssl", "gencert", "-ca=ca.pem", "leaf.json"),
        ("cfssl", "gencert", *CA, "root.json"),
        ("cfssl", "gencert", "-ca=nofile", "-ca-key=ca-key.pem", "leaf.json"),
        ("cfssl", "gencert", "-ca=ca.pem", "-ca-key=nofile", "leaf.json"),
        ("cfssl", "gencert", "-ca=ca.pem", "-ca-key=ca.pem", "leaf.json"),
        ("cfssl", "gencert", "-ca=ca.pem", "-ca-key=root.json", "leaf.json"),
        ("cfssl", "gencert", "-ca=ca.pem", "-ca-key=o-key.pem", "leaf.json"),
        ("cfssl", "gencert", "-ca=leaf.json", "-ca-key=o-key.pem", "leaf.json"),
        ("cfssl", "gencert", *CA, "leaf.json"),
        ("cfssl", "gencert", *CA, "-hostname=b.com,1.1.1.1", "leaf.json"),
        ("cfssl", "gencert", *CA, "-hostname", "a.com, b.com", "leaf.json"),
        ("cfssl", "gencert", *CA, "-cn=other", "leaf.json"),
        ("cfssl", "gencert", *CA, "-loglevel=3", "leaf.json"),
        ("cfssl", "gencert", *CA, "-loglevel=0x2", "-crl=http://crl", "leaf.json"),
        ("cfssl", "gencert", *CA, "-config=two.json", "-profile=p", "leaf.json"),
        ("cfssl", "gencert", *CA, "-config=two.json", "-profile=unknown", "leaf.json"),
        ("cfssl", "gencert", "-config=two.json", "leaf.json"),
        ("cfssl", "gencert", *CA, "-config=nofile", "leaf.json"),
        ("cfssl", "gencert", "-initca", "-ca-key=o-key.pem", "root.json"),
        ("cfssl", "gencert", "-initca", "-ca-key=nofile", "root.json"),
        ("cfssl", "gencert", "-initca", "-ca-key=ca.pem", "root.json"),
        ("cfssl", "gencert", "-initca=true", "--", "root.json"),
        ("cfssl", "gencert", "--initca", "leaf.json"),
        ("cfssl", "gencert", "-renewca"),
        ("cfssl", "gencert", "-renewca", *CA),
        ("cfssl", "gencert", "-renewca", "-ca=o.pem", "-ca-key=o-key.pem"),
        ("cfssl", "gencert", "-renewca", "-ca=ca.pem", "-ca-key=o-key.pem"),
        ("cfssl", "gencert", "-bad", "leaf.json"),
        ("cfssl", "gencert", "-loglevel=x", "leaf.json"),
        ("cfssl", "gencert", "-loglevel"),
        ("cfssl", "gencert", "-initca=maybe", "leaf.json"),
        ("cfssl", "gencert", "---x"),
        ("cfssl", "gencert", "-=x"),
        ("cfssl", "gencert", "-interval=5", "leaf.json"),
        ("cfssl", "genkey", "root.json"),
        ("cfssl", "genkey", "-initca", "leaf.json"),
        ("cfssl", "genkey", "-initca", "root.json"),
        ("cfssl", "sign", "o.csr"),
        ("cfssl", "sign", "-ca=ca.pem", "o.csr"),
        ("cfssl", "sign", *CA),
        ("cfssl", "sign", *CA, "o.csr", "nofile"),
        ("cfssl", "sign", *CA, "o.csr", "leaf.json"),
        ("cfssl", "sign", *CA, "-csr=o.csr"),
        ("cfssl", "sign", *CA, "-csr=nofile"),
        ("cfssl", "sign", *CA, "-hostname=q.com", "o.csr"),
        ("cfssl", "sign", *CA, "leaf.json"),
        ("cfssl", "sign", *CA, "-config=two.json", "-profile=p", "ca.csr"),
        ("cfssl", "selfsign"),
        ("cfssl", "selfsign", "a.com"),
        ("cfssl", "info"),
        ("cfssl", "info", "-config=two.json"),
        ("cfssl", "info", *CA, "-config=two.json"),
        ("cfssl", "info", *CA, "-config=two.json", "-profile=p"),
        ("cfssl", "certinfo", "-cert=o.pem"),
        ("cfssl", "certinfo", "-cert=ca.pem"),
        ("cfssl", "certinfo", "-cert=nofile"),
        ("cfssl", "certinfo", "-cert=leaf.json"),
        ("cfssl", "certinfo", "-csr=o.csr"),
        ("cfssl", "certinfo", "-csr=ca.csr"),
        ("cfssl", "certinfo", "-csr=nofile"),
        ("cfssl-certinfo", "-cert=nofile"),
        ("cfssl-certinfo", "-cert=o.pem"),
        ("cfssl-certinfo", "-csr=o.csr"),
        ("cfssl-newkey", "leaf.json"),
        ("cfssl-newkey", "-initca", "leaf.json"),
        ("cfssl-newkey", "-remote=x", "leaf.json"),
        ("cfssl-newkey", "nofile"),
        ("cfssl", "print-defaults", "csr"),
        ("cfssl", "print-defaults", "config"),
        ("cfssl", "print-defaults", "list"),
        ("cfssl", "print-defaults", "odd"),
        ("cfssl", "print-defaults"),
        ("cfssl",),
        ("cfssl", "bogus"),
        ("cfssl", "help"),
        ("cfssl", "gencert", "-h"),
        ("cfssl", "-h"),
    ]
    found = [
        Case(name=" ".join(row), argv=row, files={"two.json": two, **_named(leaf), **_named(root)}) for row in rows
    ]
    odd: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("Versions", ("cfssl", "version")),
        ("Arguments left over", ("cfssl", "gencert", "-initca", "root.json", "x")),
        ("Words of refusals", ("cfssl", "sign", *CA, "ca.pem")),
        (
            "Words of refusals",
            (
                "cfssl",
                "certinfo",
            ),
        ),
        ("Names in selfsign", ("cfssl", "selfsign", "a.com", "leaf.json")),
        ("Names in selfsign", ("cfssl", "selfsign", "-config=two.json", "-profile=p", "a.com", "root.json")),
        ("Panics", ("cfssl", "certinfo", "-csr=leaf.json")),
        ("New in 1.6.5", ("cfssl", "gencsr", "-key=o-key.pem", "leaf.json")),
        ("New in 1.6.5", ("cfssl", "gencert", "-ca=file:ca.pem", "-ca-key=file:ca-key.pem", "leaf.json")),
        ("New in 1.6.5", ("cfssl", "sign", *CA, "odd.csr")),
    )
    files = {"two.json": two, **_named(leaf), **_named(root)}
    return found + [Case(name=" ".join(row), argv=row, files=files, differs=why) for why, row in odd]


def _named(files: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", "."): text for name, text in files.items()}


def _material() -> list[Case]:
    """Files that are not what they should be."""
    damaged = "-----BEGIN CERTIFICATE-----\nTUlY\n-----END CERTIFICATE-----\n"
    return [
        _plain("a damaged certificate", "cfssl", "certinfo", "-cert=d.pem", d__pem=damaged),
        _plain("blanks around a certificate", "cfssl", "certinfo", "-cert=-", stdin="@blanks"),
        _plain("two certificates", "cfssl", "certinfo", "-cert=-", stdin="@two"),
        _plain("another label", "cfssl", "certinfo", "-cert=-", stdin="@label"),
        _plain("a locked key", "cfssl", "gencert", "-ca=ca.pem", "-ca-key=locked.pem", "-", stdin=LEAF),
        Case(
            name="an unlocked key",
            argv=("cfssl", "gencert", "-ca=ca.pem", "-ca-key=locked.pem", "-"),
            stdin=LEAF,
            env={"CFSSL_CA_PK_PASSWORD": "secret"},
        ),
        Case(
            name="the wrong password",
            argv=("cfssl", "gencert", "-ca=ca.pem", "-ca-key=locked.pem", "-"),
            stdin=LEAF,
            env={"CFSSL_CA_PK_PASSWORD": "wrong"},
        ),
        _plain(
            "a damaged request",
            "cfssl",
            "sign",
            *CA,
            "d.csr",
            d__csr=damaged.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            differs="Words of refusals",
        ),
        _plain("a request for a CA", "cfssl", "sign", *CA, "ca.csr"),
        _plain("a forged request", "cfssl", "sign", *CA, "forged.csr"),
    ]


def _unpacking() -> list[Case]:
    inputs = (
        *("", "{}", "x", "[]", '{"cert":"A"}', '{"cert":"","key":"K"}', '{"success":true}', '{"success":"a"}'),
        *('{"success":true,"result":{"certificate":"A","private_key":"K","certificate_request":"R"}}', "null"),
        *('{"success":false,"errors":[{"code":1,"message":"m"},{"code":2,"message":"n"}]}', '{"ocspResponse":"QUJD"}'),
        *('{"ocspResponse":"!"}', '{"encrypted_key":"QUJD"}', '{"success":true,"result":{"encrypted_key":"x"}}'),
    )
    found = [
        _plain(f"cfssljson {' '.join(flags)} {text!r}", "cfssljson", *flags, stdin=text)
        for text in inputs
        for flags in (("-bare",), (), ("-bare", "-stdout"))
    ]
    return [
        *found,
        _plain("cfssljson base", "cfssljson", "-bare", "base", "more", stdin='{"cert":"A","key":"B"}'),
        _plain("cfssljson flags last", "cfssljson", "base", "-bare", stdin='{"cert":"A"}'),
        _plain("cfssljson no file", "cfssljson", "-f=nofile"),
        _plain("cfssljson unknown flag", "cfssljson", "-zzz"),
        _plain("cfssljson no directory", "cfssljson", "-bare", "no/such/x", stdin='{"cert":"A"}'),
        _plain("cfssljson a number", "cfssljson", "-bare", stdin='{"cert":5}', differs="Panics"),
        _plain(
            "cfssljson bundle",
            "cfssljson",
            "-bare",
            stdin='{"result":{"bundle":{"bundle":"B","root":"R"}}}',
            differs="New in 1.6.5",
        ),
    ]


def drawn(count: int, *, seed: int, newer: bool = False) -> list[Case]:
    """Whole calls of gencert with a request and a policy of random parts; `newer`: with what 1.2.0 does not know."""
    dice = random.Random(seed)
    return [_draw(dice, number, newer=newer) for number in range(count)]


NEW_HOSTS = (
    *("https://x/y", "spiffe://td/ns", "/abs", "localhost:80", "*", "a:b:c", "HTTPS://UP/case", "1.2.3.4:80"),
    *("https://x/ü", "spiffe://c.local/ns/a b", "/var/run/x y", "http://x/<a>", "/{a}", '/"a', "http://", "x://"),
    *("http://x:8a/", "http://[::1/", "http://a%41/", "http://[fe80::1%25eth0]/", "http://u:p@h/?a b", "http://h?"),
)


def _new_in_request(dice: random.Random, request: dict[str, Any]) -> None:
    if dice.random() < 0.3:
        request.setdefault("names", []).append(
            {"E": "a@b.c", "OID": {dice.choice(["1.2.3.4", "2.5.4.12", "2.5.4.10"]): "v"}}
        )
    if dice.random() < 0.3:
        request["key"] = {"algo": "ed25519"}
    if dice.random() < 0.2:
        request["delegation_enabled"] = True
    if dice.random() < 0.3:
        request["extensions"] = [
            {"Id": [1, 2, 3, 4], "Critical": False, "Value": "BQA="},
            {"Id": [1, 3, 6, 1, 5, 5, 7, 1, 24], "Value": "MAMCAQU="},
        ]
    if dice.random() < 0.4 and "hosts" in request:
        request["hosts"] = [*request.get("hosts", []), *dice.sample(NEW_HOSTS, 2)]


def _new_in_profile(dice: random.Random, profile: dict[str, Any], request: dict[str, Any]) -> None:
    if dice.random() < 0.3:
        profile["copy_extensions"] = True
        request.pop("hosts", None)  # CFSSL copies those too, even into a CA's certificate: see docs
    if dice.random() < 0.2:
        profile["usages"].append("content commitment")
    if dice.random() < 0.2:
        profile["CSRWhitelist"] = {
            "PublicKey": True,
            "PublicKeyAlgorithm": True,
            "SignatureAlgorithm": True,
            "Subject": dice.random() < 0.7,
            "URIs": dice.random() < 0.7,
            "DNSNames": dice.random() < 0.7,
        }


def _draw(dice: random.Random, number: int, *, newer: bool) -> Case:
    names = [
        {key: dice.choice(values) for key in dice.sample(("C", "ST", "L", "O", "OU"), 3)}
        for values in (["", "a", "B c", "ü"], ["x*y", "10%", "b", ""])[: dice.randrange(3)]  # none twice: see docs
    ]
    request: dict[str, Any] = {"CN": dice.choice(["", "x", "a.example", "ü & <b>"]), "names": names}
    if dice.random() < 0.8:
        request["hosts"] = dice.sample(HOSTS, dice.randrange(5))
    if dice.random() < 0.7:
        request["key"] = dice.choice(
            [{"algo": "ecdsa", "size": size} for size in (256, 384, 521)] + [{"algo": "rsa", "size": 2048}]
        )
    if dice.random() < 0.3:
        request["serialnumber"] = "77"
    words = (
        "signing",
        "key encipherment",
        "server auth",
        "client auth",
        "cert sign",
        "any",
        "s/mime",
        "odd",
        "timestamping",
    )
    profile: dict[str, Any] = {"expiry": dice.choice(["1h", "90m", "8760h", "1h0.5s", "500ms"])}
    profile["usages"] = dice.sample(words, dice.randrange(1, 5))
    if dice.random() < 0.3:
        profile["backdate"] = dice.choice(["0s", "1h", "5m30s"])
    if dice.random() < 0.3:
        profile["ca_constraint"] = {
            "is_ca": dice.random() < 0.5,
            "max_path_len": dice.randrange(3),
            "max_path_len_zero": dice.random() < 0.5,
        }
    if dice.random() < 0.3:
        profile["name_whitelist"] = dice.choice(["^a", r"\.com$", "."])
    if dice.random() < 0.3:
        profile["ocsp_url"] = "http://ocsp"
    default = {"expiry": "3h", "usages": ["any"], "crl_url": "http://crl"}
    if newer:
        _new_in_request(dice, request)
        _new_in_profile(dice, profile, request)
    config = {"signing": {"default": default, "profiles": {"p": profile}}}
    flags = ["-profile=p"] if dice.random() < 0.8 else []
    if dice.random() < 0.3 and "copy_extensions" not in profile:
        flags.append("-hostname=" + ",".join(dice.sample(HOSTS, 2)))
    return Case(
        name=f"drawn {'newer ' * newer}{number}",
        argv=("cfssl", "gencert", *CA, "-config=p.json", *flags, "leaf.json"),
        files={"p.json": json.dumps(config), "leaf.json": json.dumps(request)},
    )
