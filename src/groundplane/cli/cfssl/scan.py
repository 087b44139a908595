"""`cfssl scan`: several servers at a time; what is found is printed as soon as a server is done."""

import sys
from threading import Lock

from groundplane.cli.cfssl.context import Context
from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.goencode import indented
from groundplane.pki.cfssl.scan import Scans, hosts_of_csv
from groundplane.pki.scan.spread import spread


def scan(context: Context) -> str:
    """The hosts of the arguments and of -csv, or -list. Raises CfsslError."""
    scans = Scans(ca_bundle=context.text("ca-bundle"), journal=context.journal)
    if context.on("list"):
        return f"{indented(scans.about())}\n\n"
    scans.load()
    hosts, most = context.arguments, _number(context, "max-hosts")
    if len(hosts) >= most:
        context.journal.warning(f"Only scanning max-hosts={most} out of {len(hosts)} args given")
        hosts = hosts[: max(most, 0)]
    elif path := context.text("csv"):
        hosts = hosts_of_csv(path, hosts, most=most)
    printer = _Printer(context, scans)
    for _ in spread(printer.scan, hosts, at_a_time=max(1, _number(context, "num-workers"))):
        pass  # printed already
    return ""


class _Printer:
    """Scans one host after the other in each of several threads; only one prints."""

    def __init__(self, context: Context, scans: Scans) -> None:
        self._context, self._scans = context, scans
        self._within = gotext.duration(context.text("timeout"))
        self._lock = Lock()

    def scan(self, host: str) -> None:
        text = self._context.text
        self._print(f"Scanning {host}...\n")
        try:
            found = self._scans.run(
                host, text("ip"), family=text("family"), scanner=text("scanner"), within=self._within
            )
        except CfsslError as bad:
            self._print(f"=== {host} ===\n")
            self._context.journal.error(str(bad))
        else:
            self._print(f"=== {host} ===\n{indented(found)}\n\n")

    def _print(self, what: str) -> None:
        with self._lock:
            sys.stdout.write(what)
            sys.stdout.flush()


def _number(context: Context, name: str) -> int:
    value = context.values[name]
    assert isinstance(value, int)
    return value
