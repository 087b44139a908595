"""Scans of real servers on loopback, by Debian's cfssl 1.2.0 and by ours: the same is found, and what only ours can."""

import json
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from tests.lab.serve_lab import NEWER, OURS, REAL, free_port, serving
from tests.unit.pki_chain.workshop import DAY, NOW, Made, key, key_pem
from tests.unit.pki_chain.workshop import serving as web
from tests.unit.pki_chain.workshop import whole as made

# Without CloudFlareStatus, which asks a server that is not on loopback.
SCANNERS = "^[^C]|^C[^l]"
JAVA = Path(__file__).parent / "java" / "OldServer.java"
ANY = ("-cipher", "ALL:eNULL:!aNULL:!PSK:!SRP:@SECLEVEL=0", "-min_protocol", "TLSv1")
Result = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Roots, intermediates, and leaves of several kinds for localhost."""
    place = tmp_path_factory.mktemp("scan")
    root = made("scan root", ca=True, the_key=key("p256", 20))
    middle = made("scan middle", issuer=root, ca=True, depth=0, the_key=key("p256", 21))
    hosts = ("localhost", "127.0.0.1", "127.0.0.2")
    (place / "root.pem").write_bytes(root.pem)
    (place / "middle.pem").write_bytes(middle.pem)
    leaf: dict[str, Any] = {"issuer": middle, "hosts": hosts}
    leaves = {
        "rsa": made("localhost", the_key=key("rsa2048"), **leaf),
        "ec": made("localhost", the_key=key("p256", 9), **leaf),
        "ec384": made("localhost", the_key=key("p384", 9), **leaf),
        "ed": made("localhost", the_key=key("ed25519"), **leaf),
        "other": made("other", the_key=key("rsa2048", 1), issuer=middle, hosts=["other.example"]),
        "soon": made("localhost", the_key=key("rsa2048"), issuer=middle, hosts=hosts, end=NOW + 9 * DAY),
        "late": made(
            "localhost", the_key=key("rsa2048"), issuer=middle, hosts=hosts, start=NOW - 9 * DAY, end=NOW - DAY
        ),
        "long": made("localhost", the_key=key("rsa2048"), issuer=middle, hosts=hosts, end=NOW + 2000 * DAY),
        "alone": made("localhost", the_key=key("rsa2048"), hosts=hosts),
        "strange": made(
            "localhost", the_key=key("rsa2048"), issuer=made("not a CA", the_key=key("p256", 22)), hosts=hosts
        ),
    }
    for name, it in leaves.items():
        write(place, name, it)
    (place / "p12").write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"k",
            leaves["rsa"].key,
            leaves["rsa"].certificate,
            [middle.certificate],
            BestAvailableEncryption(b"changeit"),
        )
    )
    return place


def write(place: Path, name: str, it: Made) -> None:
    (place / f"{name}.pem").write_bytes(it.pem)
    (place / f"{name}-key.pem").write_bytes(key_pem(it.key))


@contextmanager
def openssl(folder: Path, *flags: str, cert: str = "rsa", address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """`openssl s_server` with the intermediate in its chain."""
    port = port or free_port()
    pair = ("-cert", f"{cert}.pem", "-key", f"{cert}-key.pem")
    argv = ("openssl", "s_server", "-accept", f"{address}:{port}", "-www", *pair, "-cert_chain", "middle.pem", *flags)
    with subprocess.Popen(
        argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait(address, port)
            yield port
        finally:
            process.kill()


def wait(address: str, port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)  # another program's socket: nothing to wait on
        else:
            return


def scan(program: Sequence[str], folder: Path, *words: str, scanner: str = SCANNERS) -> dict[str, Result]:
    """What `cfssl scan` says of each host."""
    argv = (*program, "scan", "-ca-bundle", "root.pem", "-timeout", "40s", "-scanner", scanner, *words)
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True, timeout=100)
    assert "timed out" not in done.stderr
    return printed(done.stdout)


def printed(text: str) -> dict[str, Result]:
    parts = re.split(
        r"^=== (.*) ===\n", re.sub(r"^Scanning .*\.\.\.\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE
    )
    assert parts[0] == ""
    for body in parts[2::2]:
        assert body.endswith("}\n\n")
    return {
        host: json.loads(re.sub(r"current time \S+", "current time NOW", body))
        for host, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def plain(result: Result) -> Result:
    """Without what is in CFSSL's random order, and without the family that it does not have."""
    result = {family: {name: dict(found) for name, found in its.items()} for family, its in result.items()}
    result.pop("Modern", None)
    shakes = result.get("TLSHandshake", {})
    if isinstance(suites := shakes.get("CipherSuite", {}).get("output"), list):
        shakes["CipherSuite"]["output"] = {
            suite: [{v: sorted(c) for v, c in it.items()} if isinstance(it, dict) else it for it in versions]
            for each in suites
            for suite, versions in each.items()
        }
    if isinstance(curves := shakes.get("ECCurves", {}).get("output"), list):
        shakes["ECCurves"]["output"] = sorted(curves)
    return result


def both(folder: Path, *words: str, scanner: str = SCANNERS) -> tuple[Result, Result]:
    theirs, ours = (scan(program, folder, *words, scanner=scanner) for program in (REAL, OURS))
    assert list(theirs) == list(ours)
    host = words[-1]
    return plain(theirs[host]), plain(ours[host])


ALIKE = {
    "tls12": ("rsa", ("-tls1_2",)),
    "tls12-strong": ("rsa", ("-tls1_2", "-cipher", "ECDHE+AESGCM", "-serverpref")),
    "everything": ("rsa", (*ANY, "-no_tls1_3")),
    "without-curves": ("rsa", ("-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384")),
    "both-new-versions": ("rsa", ()),
    "one-curve": ("rsa", ("-tls1_2", "-groups", "P-384")),
    "no-tickets": ("rsa", ("-tls1_2", "-no_ticket", "-no_cache")),
    "other-name": ("other", ("-tls1_2",)),
    "soon": ("soon", ("-tls1_2",)),
    "late": ("late", ("-tls1_2",)),
    "long": ("long", ("-tls1_2",)),
    "not-issued-by-the-next": ("strange", ("-tls1_2",)),
    "self-signed": ("alone", ("-tls1_2",)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_both_find_the_same(folder: Path, name: str) -> None:
    cert, flags = ALIKE[name]
    with openssl(folder, *flags, cert=cert) as port:
        theirs, ours = both(folder, f"127.0.0.1:{port}")
    if name == "self-signed":  # newer Go, and ours, say more
        for found in (theirs, ours):
            dial = found["Connectivity"]["TLSDial"]
            dial["error"] = dial["error"].partition(" (possibly")[0]
    assert ours == theirs
    assert set(ours) == {"Broad", "Connectivity", "PKI", "TLSHandshake", "TLSSession"}


def test_several_certificates_are_told_apart_by_suite_and_by_signature(folder: Path) -> None:
    flags = ("-tls1_2", "-dcert", "ec384.pem", "-dkey", "ec384-key.pem", "-dcert_chain", "middle.pem")
    with openssl(folder, *flags, "-serverpref") as port:
        theirs, ours = both(folder, f"localhost:{port}")
    # CFSSL asks for curves in random order, and stops where the ECDSA certificate's own is not among them.
    for name, versions in theirs["TLSHandshake"]["CipherSuite"]["output"].items():
        found = ours["TLSHandshake"]["CipherSuite"]["output"].pop(name)
        if "ECDSA" in name:
            assert set(versions[0]["TLS 1.2"]) <= set(found[0]["TLS 1.2"])
        else:
            assert found == versions
    assert ours["TLSHandshake"].pop("CipherSuite") == {"grade": "Good", "output": {}}
    del theirs["TLSHandshake"]["CipherSuite"]
    assert ours["TLSHandshake"].pop("SigAlgs")["output"] == theirs["TLSHandshake"].pop("SigAlgs")["output"]
    assert ours == theirs


def test_an_ecdsa_certificate_needs_its_curve(folder: Path) -> None:
    with openssl(folder, "-tls1_2", cert="ec384") as port:
        ours = scan(OURS, folder, f"localhost:{port}", scanner="CipherSuite|ECCurves|SigAlgs|^Certs")
    shakes = ours[f"localhost:{port}"]["TLSHandshake"]
    assert shakes["CipherSuite"]["output"]
    for each in shakes["CipherSuite"]["output"]:
        for versions in each.values():
            assert sorted(versions[0]["TLS 1.2"]) == ["secp256r1", "secp384r1", "secp521r1"]
    shown = {"{ECDSA,SHA256}": "ECDSAWithSHA256", "{ECDSA,SHA384}": "ECDSAWithSHA256"}
    assert shakes["CertsBySigAlgs"]["output"] == shown


def test_tls_1_3_alone(folder: Path) -> None:
    flags = ("-tls1_3", "-groups", "X25519:P-384", "-ciphersuites", "TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256")
    with openssl(folder, *flags, "-dcert", "ec.pem", "-dkey", "ec-key.pem", "-dcert_chain", "middle.pem") as port:
        theirs = scan(REAL, folder, f"localhost:{port}")[f"localhost:{port}"]
        ours = scan(OURS, folder, f"localhost:{port}")[f"localhost:{port}"]
    assert theirs["Connectivity"]["TLSDial"]["grade"] == "Bad"
    assert theirs["TLSHandshake"] == plain(ours)["TLSHandshake"]  # these are about TLS 1.2 and before
    good = {"grade": "Good"}
    assert ours["Connectivity"]["TLSDial"] == ours["PKI"]["ChainValidation"] == good
    assert ours["TLSSession"]["SessionResume"]["output"] == {"127.0.0.1": True}
    over = [{"TLS 1.3": ["X25519", "secp384r1"]}]
    assert ours["Modern"] == {
        "Certificates": {
            **good,
            "output": {
                "ecdsa_secp256r1_sha256": "ECDSAWithSHA256",
                **dict.fromkeys((f"rsa_pss_rsae_sha{bits}" for bits in (256, 384, 512)), "ECDSAWithSHA256"),
            },
        },
        "Groups": {**good, "output": ["X25519", "secp384r1"]},
        "Resumption": {**good, "output": {"127.0.0.1": True}},
        "Signatures": {
            **good,
            "output": ["ecdsa_secp256r1_sha256", *(f"rsa_pss_rsae_sha{bits}" for bits in (256, 384, 512))],
        },
        "Suites": {**good, "output": [{"TLS_AES_256_GCM_SHA384": over}, {"TLS_AES_128_CCM_SHA256": over}]},
    }


def test_ed25519_and_every_cipher_of_tls_1_3(folder: Path) -> None:
    ciphers = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_8_SHA256:TLS_AES_128_GCM_SHA256"
    for group, shown in (("X448", "X448"), ("P-521", "secp521r1"), ("P-256", "secp256r1")):
        with openssl(folder, "-tls1_3", "-groups", group, "-ciphersuites", ciphers, "-serverpref", cert="ed") as port:
            found = scan(OURS, folder, f"localhost:{port}", scanner="Suites|Groups|Signatures|Certificates")
        modern = found[f"localhost:{port}"]["Modern"]
        assert modern["Groups"]["output"] == [shown]
        assert modern["Signatures"]["output"] == ["ed25519"]
        assert modern["Certificates"]["output"] == {"ed25519": "ECDSAWithSHA256"}
        assert [*(next(iter(each)) for each in modern["Suites"]["output"])] == ciphers.split(":")


def test_x25519_and_newer_suites_of_tls_1_2(folder: Path) -> None:
    flags = ("-tls1_2", "-groups", "X25519", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305")
    with openssl(folder, *flags) as port:
        theirs, ours = both(folder, f"localhost:{port}", scanner="CipherSuite")
        modern = scan(OURS, folder, f"localhost:{port}", scanner="Suites|Groups|Resumption")
    assert theirs == ours
    assert ours["TLSHandshake"]["CipherSuite"]["grade"] == "Bad"
    suites = modern[f"localhost:{port}"]["Modern"]["Suites"]
    assert suites == {"grade": "Warning", "output": [{"ECDHE-RSA-CHACHA20-POLY1305": [{"TLS 1.2": ["X25519"]}]}]}
    assert modern[f"localhost:{port}"]["Modern"]["Groups"] == {
        "grade": "Bad",
        "error": "the server does not speak TLS 1.3",
    }


def test_servers_with_only_old_versions_are_described_not_refused(folder: Path) -> None:
    with openssl(folder, *ANY, "-max_protocol", "TLSv1.1") as port:
        theirs, ours = both(folder, f"localhost:{port}", scanner="CipherSuite")
    assert theirs["TLSHandshake"]["CipherSuite"]["error"].startswith("server negotiated protocol version")
    found = ours["TLSHandshake"]["CipherSuite"]
    assert found["grade"] == "Good"
    assert found["output"]["AES128-SHA"] == ["TLS 1.1", "TLS 1.0"]


def test_ssl_3_is_a_warning(folder: Path) -> None:
    argv = ("java", "-XX:TieredStopAtLevel=1", str(JAVA), str(folder / "p12"), "SSLv3")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            ours = scan(OURS, folder, f"127.0.0.1:{port}", scanner="CipherSuite")
        finally:
            server.kill()
    found = ours[f"127.0.0.1:{port}"]["TLSHandshake"]["CipherSuite"]
    assert found["grade"] == "Warning"
    assert {"AES128-SHA": ["SSL 3.0"]} in found["output"]


def test_sessions_by_identifier_count_too(folder: Path) -> None:
    with openssl(folder, "-tls1_2", "-no_ticket") as port:
        theirs, ours = both(folder, f"127.0.0.1:{port}", scanner="SessionResume")
    assert theirs["TLSSession"]["SessionResume"] == {"grade": "Bad", "output": {"127.0.0.1": False}}
    assert ours["TLSSession"]["SessionResume"] == {"grade": "Good", "output": {"127.0.0.1": True}}


def test_nobody_listens(folder: Path) -> None:
    port = free_port()
    theirs, ours = both(folder, f"127.0.0.1:{port}")
    assert ours == theirs


def test_a_server_that_speaks_no_tls(folder: Path) -> None:
    with web() as site:
        theirs, ours = both(folder, f"127.0.0.1:{site.port}", scanner="CipherSuite|SigAlgs|ECCurves|TCPDial|^CertsBy")
        dial = scan(OURS, folder, f"127.0.0.1:{site.port}", scanner="TLSDial")
    assert ours == theirs
    assert dial[f"127.0.0.1:{site.port}"]["Connectivity"]["TLSDial"]["grade"] == "Bad"


def test_a_server_that_never_answers_ends_with_the_time(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        argv = (*OURS, "scan", "-timeout", "1.5s", "-scanner", f"({SCANNERS})", f"127.0.0.1:{port}")
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True, timeout=30)
        assert time.monotonic() - begun < 8
    assert "[WARNING] Scan timed out after 1.5s\n" in done.stderr
    assert printed(done.stdout)[f"127.0.0.1:{port}"]["Connectivity"]["TCPDial"] == {"grade": "Good"}


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "127.0.0.0/30:{}"])
def test_an_interrupt_ends_a_scan_at_once(folder: Path, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        argv = (*OURS, "scan", "-ca-bundle", "root.pem", "-scanner", SCANNERS, host.format(silent.getsockname()[1]))
        whole = ("env", "--default-signal=INT", *argv)  # whatever it is that runs the tests
        with subprocess.Popen(whole, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            silent.accept()[0].close()
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        assert time.monotonic() - begun < 3
    assert (process.returncode, said) == (130, b"")


def test_an_address_beside_the_name(folder: Path) -> None:
    with openssl(folder, "-tls1_2", address="127.0.0.2") as port:
        theirs, ours = both(folder, "-ip", "127.0.0.2", f"localhost:{port}", scanner="TLSDial|TCPDial|PKI|Resume")
    assert ours == theirs
    assert ours["Connectivity"]["TLSDial"] == {"grade": "Good"}


def test_unknown_intermediates_of_a_network_are_named(folder: Path) -> None:
    port = free_port()
    with ExitStack() as servers:
        for address in ("127.0.0.1", "127.0.0.2"):
            servers.enter_context(openssl(folder, "-tls1_2", address=address, port=port))
        found = scan(OURS, folder, f"127.0.0.0/30:{port}", scanner="IntermediateCAs")
        skipped = scan(OURS, folder, f"127.0.0.1:{port}", scanner="IntermediateCAs")
    broad = found[f"127.0.0.0/30:{port}"]["Broad"]["IntermediateCAs"]
    assert broad["grade"] == "Good"
    assert [(it["subject"], it["issuer"], it["seen_at"]) for it in broad["output"]] == [
        ("CN=scan middle", "CN=scan root", ["127.0.0.1", "127.0.0.2"])
    ]
    assert skipped[f"127.0.0.1:{port}"] == {"Broad": {"IntermediateCAs": {"grade": "Skipped"}}}


def test_revocation_is_asked_of_who_the_certificate_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes((folder / "root.pem").read_bytes())
    (tmp_path / "middle.pem").write_bytes((folder / "middle.pem").read_bytes())
    issuer = made("scan middle", ca=True)
    with web() as site:
        lost = made("localhost", the_key=key("rsa2048"), issuer=issuer, hosts=["localhost"], crl_at=[site.url("/crl")])
        write(tmp_path, "rsa", lost)
        (tmp_path / "middle.pem").write_bytes(issuer.pem)
        with openssl(tmp_path, "-tls1_2") as port:
            theirs, ours = both(tmp_path, f"localhost:{port}", scanner="ChainValidation")
    assert ours == theirs
    assert ours["PKI"]["ChainValidation"]["output"] == ["couldn't check if localhost is revoked"]


def run(program: Sequence[str], folder: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run((*program, *words), cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "TIME ", done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ("scan",),
        ("scan", "-scanner", "(", "127.0.0.1:1"),
        ("scan", "-family", "[z-a]", "127.0.0.1:1"),
        ("scan", "-family", "a**", "127.0.0.1:1"),
        ("scan", "-family", "nothing", "127.0.0.1:1"),
        ("scan", "-scanner", r"^T\w+l$", "-family", "(?i)connect", "127.0.0.1:1"),
        ("scan", "-ca-bundle", "nofile", "127.0.0.1:1"),
        ("scan", "-ca-bundle", "rsa-key.pem", "127.0.0.1:1"),
        ("scan", "-max-hosts", "1", "-scanner", "TCPDial", "127.0.0.1:1", "127.0.0.2:1"),
        ("scan", "-csv", "nofile", "-scanner", "TCPDial", "127.0.0.1:1"),
        ("scan", "-scanner", "TCPDial", "127.0.0.1:x"),
        ("scan", "-scanner", "DNSLookup|TCPDial", "::1"),
        ("scan", "-scanner", "DNSLookup", "127.0.0.1"),
    ],
)
def test_flags_and_refusals_alike(folder: Path, words: tuple[str, ...]) -> None:
    code, out, err = run(REAL, folder, *words)
    assert run(OURS, folder, *words) == (code, out.replace("lookup tcp/x:", "address tcp/x:") if NEWER else out, err)


def test_the_list_is_theirs_and_one_family_more(folder: Path) -> None:
    theirs, ours = (run(program, folder, "scan", "-list") for program in (REAL, OURS))
    listed = json.loads(ours[1])
    assert listed.pop("Modern")["scanners"].keys() == {"Certificates", "Groups", "Resumption", "Signatures", "Suites"}
    assert json.dumps(listed, indent=2) + "\n\n" == theirs[1].replace("prefered", "preferred")  # 1.2.0's spelling


def test_hosts_from_a_csv_file(folder: Path) -> None:
    (folder / "hosts.csv").write_text('1,"127.0.0.1:1"\n\n2,127.0.0.2:1\n3,127.0.0.3:1\n')
    flags = ("scan", "-csv", "hosts.csv", "-max-hosts", "2", "-scanner", "TCPDial", "-num-workers", "1")
    assert run(OURS, folder, *flags) == run(REAL, folder, *flags)  # with hosts to spare CFSSL panics at the file's end
    code, out, _ = run(OURS, folder, "scan", "-csv", "hosts.csv", "-scanner", "TCPDial")
    assert code == 0
    assert set(printed(out)) == {"127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"}


def test_without_any_network_everything_is_answered(folder: Path) -> None:
    """Also CloudFlareStatus, which is skipped where there is no Internet."""
    words = ("scan", "-ca-bundle", "root.pem", "-scanner", "Cloud|Dial|DNS", "localhost:1")
    calls = (shlex.join((*program, *words)) for program in (REAL, OURS))
    script = f"ip link set lo up; {'; '.join(calls)}"
    done = subprocess.run(
        ("unshare", "-n", "bash", "-c", script), cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    theirs, ours = (
        json.loads(part.partition("===\n")[2]) for part in done.stdout.split("Scanning localhost:1...\n=== ")[1:]
    )
    for found in (theirs, ours):
        status = found["Connectivity"]["CloudFlareStatus"]
        status["error"] = status["error"].partition(": ")[0]
        found["Connectivity"]["DNSLookup"]["output"].sort()
    assert ours == theirs


def test_the_endpoints_of_serve(folder: Path, tmp_path: Path) -> None:
    with openssl(folder, "-tls1_2") as port, ExitStack() as stack:
        here = [
            stack.enter_context(
                serving(
                    program,
                    "-ca-bundle",
                    str(folder / "root.pem"),
                    "-int-bundle",
                    str(folder / "middle.pem"),
                    at=tmp_path,
                )
            )
            for program in (REAL, OURS)
        ]
        target = f"host=127.0.0.1:{port}&timeout=40s"
        for query in (f"{target}&scanner=TLSDial|ChainExp|SigAlgs", f"{target}&family=(", f"{target}&family=Broad"):
            theirs, ours = (each.ask("GET", f"/api/v1/cfssl/scan?{query}") for each in here)
            assert (ours.status, ours.body) == (theirs.status, theirs.body)
        theirs, ours = (
            json.loads(each.ask("GET", "/api/v1/cfssl/scaninfo").body.replace(b"prefered", b"preferred"))
            for each in here
        )
        del ours["result"]["Modern"]
        assert ours == theirs


def test_the_single_program_always_exits_0(folder: Path) -> None:
    single = (OURS[0], "-c", OURS[2].replace("'cfssl'", "'cfssl-scan'"))
    code, out, err = run(single, folder, "-ca-bundle", "nofile", "127.0.0.1:1")
    assert (code, out, err) == (0, "", "open nofile: no such file or directory\n")
    code, out, _ = run(single, folder, "-scanner", "TCPDial", "127.0.0.1:1")
    assert code == 0
    assert "connection refused" in out
