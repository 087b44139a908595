"""`groundplane pki …`: one module a command, each with `configure(parser)` and `run(arguments)`.

As lenient as CFSSL are the programs of `groundplane links`; these are strict. Only the module of the command that is
asked for is imported.
"""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

COMMANDS = {
    "gencert": "make a key and its certificate",
    "gencsr": "make a request for another CA, and its key",
    "sign": "sign a PEM request",
    "convert": "keys and certificates from one form to another: PEM, DER, PKCS#8, PKCS#12, PKCS#7, JKS",
    "bundle": "the full chain that a server should send, as PEM",
    "verify": "whether a certificate holds: its chain, its host, and that it is not revoked",
    "lint": "what RFC 5280, the CA/Browser Forum and others would say against a certificate",
    "db": "the database of issued certificates: make it, list, search and export it",
    "revoke": "take a certificate of the database back",
    "crl": "a CA's list of what it has revoked (RFC 5280)",
    "report": "what expires when, in files, kubeconfigs, databases and at servers",
    "renew": "make certificates again before they end, with the same key or a new one",
    "renewer": "the daemon that does so",
    "transport": "keep the pair of a CFSSL identity fresh, asking its server",
    "rollover": "make a root's successor, and what bridges the two",
    "ocsp": "an OCSP responder that signs live, from the certificate database",
    "acme": "an ACME server (RFC 8555) on a CA, its profiles and its database",
    "serve": "the HTTP API of CFSSL, hardened for a network",
    "kubernetes": "every certificate of a Kubernetes cluster, in kubeadm's names and places",
    "check": "read files strictly, and say what is wrong with them",
    "schema": "JSON Schemas of the files that these commands read",
}


class _Parser(argparse.ArgumentParser):
    """A command's parser. One that is not chosen is there to be listed alone: making it whole takes time."""

    def __init__(self, *, is_chosen: bool = True, **options: Any) -> None:
        if is_chosen:
            super().__init__(**options)


def configure(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """The group's commands; `words` are the command line, of which the first name of a command counts."""
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    chosen = next((word for word in words if word in COMMANDS), None)
    for name, what in COMMANDS.items():
        verb = verbs.add_parser(name, help=what, is_chosen=name == chosen)
        if name == chosen:
            module = import_module(f"{__name__}.{name.replace('-', '_')}")
            arguments_of: Callable[[argparse.ArgumentParser], None] = module.configure
            arguments_of(verb)
            verb.set_defaults(run=f"pki.{name.replace('-', '_')}:run")
