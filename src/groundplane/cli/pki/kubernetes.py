"""`groundplane pki kubernetes`: every certificate of a cluster, in kubeadm's places."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from groundplane.cli import show
from groundplane.cli.pki.inputs import read
from groundplane.cli.pki.keys import refuse_idle_label
from groundplane.errors import Invalid, Kind

if TYPE_CHECKING:
    from groundplane.pki import Issued
    from groundplane.pki.certdb import CertificateDatabase
    from groundplane.pki.kubernetes.apply import Outcome


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        "Run it again at any time: what is good is kept, what is missing or due is made. CAs and their keys are under "
        "OUT/ca, which stays with the issuer; OUT/hosts/NAME is what goes to each host's root."
    )
    parser.add_argument("cluster", nargs="?", type=Path, metavar="FILE", help="the cluster: see docs/pki/kubernetes.md")
    parser.add_argument("--out", type=Path, default=Path("kubernetes-pki"), metavar="OUT")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 5 if something would be made")
    parser.add_argument("--print-policy", action="store_true", help="the profiles as a signing policy of CFSSL's form")
    what = "record all in this database, new ones before they are written"
    parser.add_argument("--db-config", type=Path, metavar="FILE", help=what)
    parser.add_argument("--label", default="", metavar="NAME", help="the records' label, to find them by")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is made")


def run(arguments: argparse.Namespace) -> int:
    """Make, or check."""
    from groundplane.pki.kubernetes.apply import Workshop
    from groundplane.pki.kubernetes.config import parse_cluster
    from groundplane.pki.kubernetes.profiles import policy

    if arguments.print_policy:
        print(json.dumps(policy(timedelta(hours=8760)), indent=2))
        return 0
    if arguments.cluster is None:
        raise Invalid("which cluster?", to="command line", hint="name its file")
    refuse_idle_label(arguments)
    cluster = parse_cluster(read(arguments.cluster), source=str(arguments.cluster))
    made, rows = 0, []
    with ExitStack() as stack:
        book = _Book(arguments, stack)
        now = datetime.now(UTC)
        workshop = Workshop(
            top=arguments.out, cluster=cluster, now=now, dry=arguments.check, handing_out=book.handing_out
        )
        for outcome in stack.enter_context(closing(workshop.run())):
            why = outcome.made or book.kept(outcome)
            made += bool(why)
            if why or not arguments.quiet:
                until = f"{outcome.until:%F}" if outcome.until else ""
                rows.append((outcome.what, until, why or "kept", str(outcome.place)))
    if rows:
        print(show.table(("WHAT", "UNTIL", "WHY", "PLACE"), rows), end="")
    print(f"{made} {'would be ' if arguments.check else ''}made")
    return Kind.WRONG_STATE.exit_code if arguments.check and made else 0


class _Book:
    """Where it is written down who has what: the database, if there is one, and the audit."""

    def __init__(self, arguments: argparse.Namespace, stack: ExitStack) -> None:
        from groundplane.cli.pki.stored import database_of

        self._arguments = arguments
        self._database: CertificateDatabase | None = None
        if arguments.db_config is not None:
            self._database = stack.enter_context(database_of(arguments))

    @contextmanager
    def handing_out(self, issued: "Issued", place: PurePosixPath) -> Iterator[None]:
        """Nobody has it before it is written down: what is not recorded cannot be revoked."""
        from groundplane.pki.operators.audit import issuing
        from groundplane.pki.seen import load_certificate

        certificate = load_certificate(issued.certificate_pem, source=str(place))
        with issuing(certificate, place=str(self._arguments.out / place)):
            self._record(issued.certificate_pem)
            yield

    def kept(self, outcome: "Outcome") -> str:
        """What was made before there was a database is recorded, too; why it was, or empty."""
        if not outcome.certificate or self._database is None:
            return ""
        return "it was not in the database" if self._record(outcome.certificate) else ""

    def _record(self, pem: bytes) -> bool:
        """Whether the database lacked it."""
        from groundplane.pki.certdb import record_of
        from groundplane.pki.seen import load_certificate

        if self._database is None:
            return False
        certificate = load_certificate(pem, source="certificate")
        record = record_of(certificate, label=self._arguments.label, now=datetime.now(UTC))
        if self._database.find(record.serial, record.authority_key_id) is not None:
            return False
        if not self._arguments.check:
            self._database.insert(record)
        return True
