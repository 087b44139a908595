"""Every flag of `cfssl`, and what each command's usage shows of them. All commands take all flags, as CFSSL's do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundplane.pki.cfssl.flags import Flag, Kind

_ROWS: Mapping[Kind, tuple[tuple[str, str, str], ...]] = {
    Kind.TEXT: (
        ("hostname", "", "names for the certificate, with commas between them"),
        ("cert", "", "file of the certificate"),
        ("csr", "", "file of the certificate request"),
        ("ca", "", "file of the CA's certificate, or env:NAME"),
        ("ca-key", "", "file of the CA's key, or env:NAME"),
        ("key", "", "file of the private key"),
        ("tls-cert", "", "certificate that a server shows"),
        ("tls-key", "", "key of -tls-cert"),
        ("mutual-tls-ca", "", "CA that a server's clients must have"),
        ("mutual-tls-cn", "", "pattern for the common names of a server's clients"),
        ("tls-remote-ca", "", "CAs to trust of a remote"),
        ("mutual-tls-client-cert", "", "certificate to show to a remote"),
        ("mutual-tls-client-key", "", "key of -mutual-tls-client-cert"),
        ("min-tls-version", "", "oldest version of TLS that a server speaks"),
        ("intermediates", "", "without effect"),
        ("usage", "", "without effect"),
        ("pgp-private", "", "without effect"),
        ("pgp-name", "", "without effect"),
        ("authkey", "", "without effect"),
        ("ca-bundle", "", "file of trusted roots"),
        ("int-bundle", "", "file of intermediates"),
        ("int-dir", "", "directory of intermediates"),
        ("flavor", "ubiquitous", "which chain to prefer: ubiquitous, optimal or force"),
        ("metadata", "", "file about root programs"),
        ("domain", "", "name of a TLS server"),
        ("ip", "", "address of a TLS server"),
        ("password", "0", "password of a PKCS#12 file"),
        ("address", "127.0.0.1", "address to listen at"),
        ("config", "", "file of the signing policy"),
        ("profile", "", "profile of the signing policy"),
        ("label", "", "label of the CA at a remote with several"),
        ("remote", "", "address of a remote CFSSL"),
        ("responder", "", "certificate of an OCSP responder"),
        ("responder-key", "", "key of -responder"),
        ("status", "good", "OCSP status: good, revoked or unknown"),
        ("reason", "0", "reason for a revocation"),
        ("revoked-at", "now", "day of a revocation, YYYY-MM-DD"),
        ("family", "", "pattern for families of scanners"),
        ("scanner", "", "pattern for scanners"),
        ("csv", "", "file of hosts to scan"),
        ("responses", "", "file of OCSP responses"),
        ("path", "/", "path that OCSP is served under"),
        ("crl", "", "address of the CRL, instead of the policy's"),
        ("cn", "", "common name, instead of the request's"),
        ("serial", "", "serial number of a certificate"),
        ("aki", "", "authority key identifier of a certificate"),
        ("db-config", "", "file that says where the database is"),
        ("disable", "", "endpoints that a server leaves out"),
    ),
    Kind.BOOL: (
        ("initca", "false", "make a new CA"),
        ("renewca", "false", "make a CA's certificate again"),
        ("list", "false", "list the scanners"),
    ),
    Kind.INT: (
        ("port", "8888", "port to listen at"),
        ("num-workers", "10", "scans at a time"),
        ("max-hosts", "100", "hosts to scan at most"),
        ("loglevel", "1", "least level to log: 0 is DEBUG, 5 is FATAL"),
    ),
    Kind.DURATION: (
        ("interval", "96h0m0s", "time between OCSP updates"),
        ("timeout", "5m0s", "longest scan of a host"),
        ("expiry", "168h0m0s", "lifetime of a CRL"),
    ),
}
FLAGS: Mapping[str, Flag] = {
    name: Flag(name, kind, default, what) for kind, rows in _ROWS.items() for name, default, what in rows
}


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the form of its call, what it does, and the flags that its usage shows."""

    form: str
    what: str
    shown: tuple[str, ...]


_SIGN = ("ca", "ca-key", "config", "profile", "hostname", "label", "remote", "mutual-tls-client-cert")
_SIGNING = (*_SIGN, "mutual-tls-client-key", "tls-remote-ca", "db-config")
COMMANDS: Mapping[str, Command] = {
    "gencert": Command(
        "[-initca | -renewca | -ca FILE -ca-key FILE] CSRJSON",
        "make a key and a certificate for it",
        ("initca", "renewca", *_SIGNING, "cn", "crl"),
    ),
    "genkey": Command("[-initca] CSRJSON", "make a key and a request", ("initca", "config")),
    "gencsr": Command("-key FILE (CSRJSON | -cert FILE)", "make a request for a key", ("key", "cert", "hostname")),
    "sign": Command("-ca FILE -ca-key FILE CSR [SUBJECT]", "sign a request", (*_SIGNING, "csr")),
    "selfsign": Command("HOSTNAME CSRJSON", "make a key and let it sign its own certificate", ("config", "profile")),
    "certinfo": Command(
        "-cert FILE | -csr FILE | -domain HOST | -serial N -aki HEX -db-config FILE",
        "say what a certificate or a request contains",
        ("cert", "csr", "domain", "serial", "aki", "db-config"),
    ),
    "info": Command("-config FILE | -remote HOST", "say who signs, and how", ("remote", "label", "profile", "config")),
    "revoke": Command(
        "-db-config FILE -serial N -aki HEX [-reason REASON]",
        "mark a certificate of the database as revoked",
        ("db-config", "serial", "aki", "reason"),
    ),
    "crl": Command(
        "-db-config FILE -ca FILE -ca-key FILE [-expiry DURATION]",
        "make a revocation list of the database",
        ("db-config", "ca", "ca-key", "expiry"),
    ),
    "gencrl": Command("INPUT CERT KEY [SECONDS]", "make a revocation list of serial numbers", ()),
    "ocspsign": Command(
        "-ca FILE -responder FILE -responder-key FILE -cert FILE [-status S -reason N -revoked-at DAY -interval D]",
        "sign an OCSP response",
        ("ca", "responder", "responder-key", "cert", "status", "reason", "revoked-at", "interval"),
    ),
    "ocsprefresh": Command(
        "-db-config FILE -ca FILE -responder FILE -responder-key FILE [-interval DURATION]",
        "sign new OCSP responses for every certificate of the database",
        ("ca", "responder", "responder-key", "db-config", "interval"),
    ),
    "ocspdump": Command("-db-config FILE", "print the database's OCSP responses", ("db-config",)),
    "ocspserve": Command(
        "-responses FILE | -db-config FILE", "answer OCSP requests", ("address", "port", "responses", "db-config")
    ),
    "bundle": Command(
        "-cert FILE | -domain HOST [-ca-bundle FILE -int-bundle FILE -flavor F]",
        "make a certificate's chain",
        ("cert", "key", "ca-bundle", "int-bundle", "flavor", "int-dir", "metadata", "domain", "ip", "password"),
    ),
    "scan": Command(
        "HOST...",
        "look at the TLS of servers",
        ("list", "family", "scanner", "timeout", "csv", "num-workers", "max-hosts", "ip", "ca-bundle"),
    ),
    "serve": Command(
        "[-ca FILE -ca-key FILE]",
        "serve CFSSL's HTTP API",
        (
            *("address", "port", "ca", "ca-key", "ca-bundle", "int-bundle", "int-dir", "metadata"),
            *("remote", "config", "responder", "responder-key", "tls-cert", "tls-key", "mutual-tls-ca"),
            *("mutual-tls-cn", "tls-remote-ca", "mutual-tls-client-cert", "mutual-tls-client-key"),
            *("min-tls-version", "db-config", "disable"),
        ),
    ),
    "print-defaults": Command("list | config | csr", "print a file to begin with", ()),
    "version": Command("", "print the version", ()),
}
JSON_FLAGS: Mapping[str, Flag] = {
    "bare": Flag("bare", Kind.BOOL, "false", "the input is not in the envelope of CFSSL's API"),
    "f": Flag("f", Kind.TEXT, "-", "the input's file"),
    "stdout": Flag("stdout", Kind.BOOL, "false", "print everything instead of writing files"),
    "version": Flag("version", Kind.BOOL, "false", "print the version"),
}


def usage(program: str, command: str, flags: Sequence[Flag]) -> str:
    """What a command says of itself, on standard error."""
    about = COMMANDS[command]
    lines = [f"\t{program} -- {about.what}", "", f"Usage of {command}:", f"\t{program} {about.form}".rstrip(), ""]
    if flags:
        lines.append("Flags:")
    lines += [f"  -{flag.name}={_shown(flag)}: {flag.what}" for flag in flags]
    return "\n".join(lines) + "\n"


def command_flags(command: str) -> list[Flag]:
    """The flags that the usage of a command shows; the log's always."""
    return [FLAGS[name] for name in (*COMMANDS[command].shown, "loglevel")]


def commands_usage() -> str:
    """What `cfssl` alone says."""
    lines = ["Usage:", "Available commands:", *(f"\t{name}" for name in COMMANDS)]
    return "\n".join(lines) + "\n"


def json_usage() -> str:
    """What `cfssljson` says, in the form of Go's own usage."""
    lines = ["Usage of cfssljson:"]
    for flag in JSON_FLAGS.values():
        lines.append(f"  -{flag.name}{' string' if flag.kind is Kind.TEXT else ''}")
        lines.append(f"    \t{flag.what}" + (f' (default "{flag.default}")' if flag.kind is Kind.TEXT else ""))
    return "\n".join(lines) + "\n"


def _shown(flag: Flag) -> str:
    return '""' if flag.default == "" else flag.default
