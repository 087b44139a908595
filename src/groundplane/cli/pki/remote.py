"""The flags of commands that may ask a CFSSL server in place of a CA: --remote and what it takes to be believed."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Invalid

if TYPE_CHECKING:
    from groundplane.pki import Profile
    from groundplane.pki.remote.ask import RemoteCA


def add_remote(parser: argparse.ArgumentParser) -> None:
    """--remote, --auth-key, --trust, --tls-cert, --tls-key."""
    parser.add_argument("--remote", metavar="URL", help="a CFSSL server in place of --ca; several, with commas between")
    parser.add_argument("--auth-key", default="", metavar="env:NAME|file:PATH", help="key for authsign at the server")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="who may have signed the server's certificate")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="who we are for the server")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the key of --tls-cert")


def refuse_record(arguments: argparse.Namespace) -> None:
    """Raises Invalid for a database of ours: it could revoke nothing of what the server's CA signed."""
    if arguments.db_config is not None:
        raise Invalid("the server that signs records it", to="--db-config", hint="leave it out")


def remote_of(arguments: argparse.Namespace, profile: "Profile | None" = None) -> "RemoteCA | None":
    """The server of --remote, or else the profile's; None: it is signed here. Raises Invalid."""
    its = None if profile is None else profile.remote
    if not arguments.remote and its is None:
        for flag in ("auth_key", "trust", "tls_cert", "tls_key"):
            if getattr(arguments, flag):
                hint = "give --remote, or a profile with a remote"
                raise Invalid("there is no server to show it to", to=f"--{flag.replace('_', '-')}", hint=hint)
        return None
    if arguments.ca is not None or arguments.ca_key is not None:
        where = "--remote" if arguments.remote else f"{profile.at if profile else ''}.remote"
        raise Invalid(f"both a CA and a server ({where})", to="command line", hint="give one of the two")
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise Invalid("half a pair", to="command line", hint="give --tls-cert and --tls-key")
    if arguments.auth_key and not arguments.auth_key.startswith(("env:", "file:")):
        hint = "write env:NAME or file:PATH, which hold it in hex"
        raise Invalid("the key itself does not belong here", to="--auth-key", hint=hint)
    from groundplane.pki.remote.ask import RemoteCA

    return RemoteCA(
        address=arguments.remote or (its.address if its else ""),
        profile=arguments.profile,
        label=getattr(arguments, "label", ""),
        auth_key=arguments.auth_key or (its.auth_key if its else ""),
        trust=arguments.trust,
        certificate=arguments.tls_cert,
        key=arguments.tls_key,
    )
