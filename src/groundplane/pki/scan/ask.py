"""Say hello to a server and hear what it answers, up to its certificates; then hang up."""

import os
import socket
import time
from dataclasses import dataclass
from typing import Self

from groundplane.pki.scan import flight
from groundplane.pki.scan.flight import BadFlight, FlightReader, ServerHello
from groundplane.pki.scan.hello import Offer, hello_message, hello_record
from groundplane.pki.scan.line import ANSWER_WITHIN, Line
from groundplane.pki.scan.model import Refused
from groundplane.pki.scan.registry import TLS13, suites

_PIECE = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the server chose. `group`: of its key exchange, where there is one. `scheme`: how it signed, in TLS 1.3."""

    version: int
    suite: int
    group: int | None = None
    certificates: tuple[bytes, ...] = ()
    scheme: int | None = None


def ask(line: Line, offer: Offer) -> Heard:
    """What the server makes of an offer before TLS 1.3, or of one with no key shares. Raises Unreachable, Refused."""
    with _Talk(line, offer) as talk:
        hello = talk.hello()
        if hello.version >= TLS13:
            return Heard(version=hello.version, suite=hello.suite, group=hello.group)
        return _old_flight(talk, hello)


def ask_certificates(line: Line, offer: Offer, group: int) -> Heard:
    """The same with TLS 1.3, with a share of one of `schedule.SHAREABLE`, up to the certificates. Raises as `ask`."""
    from groundplane.pki.scan.schedule import Opener, make_share

    share = make_share(group)
    whole = Offer(
        version=TLS13,
        suites=offer.suites,
        groups=(group,),
        schemes=offer.schemes,
        name=offer.name,
        shares=((group, share.public),),
    )
    with _Talk(line, whole) as talk:
        hello = talk.hello()
        if hello.version != TLS13 or hello.retry or not hello.share:
            raise Refused("the server does not take the key share", to=line.place)
        try:
            secret = share.secret(hello.share)
            talk.reader.open = Opener(suite=hello.suite, secret=secret, hellos=talk.said + talk.reader.messages[0][1])
            talk.reader.go_on()
            shown: tuple[bytes, ...] = ()
            for kind, message in talk.messages(start=1):
                if kind == flight.CERTIFICATE:
                    shown = flight.certificates(message, version=TLS13)
                elif kind == flight.CERTIFICATE_VERIFY:
                    return Heard(
                        version=TLS13,
                        suite=hello.suite,
                        group=hello.group,
                        certificates=shown,
                        scheme=flight.scheme_of(message),
                    )
                elif kind == flight.FINISHED:
                    break
        except BadFlight as bad:
            raise Refused(f"tls: {bad}", to=line.place) from bad
    raise Refused("the server shows no certificate", to=line.place)


def _old_flight(talk: "_Talk", hello: ServerHello) -> Heard:
    shown: tuple[bytes, ...] = ()
    group = None
    try:
        for kind, message in talk.messages(start=1):
            if kind == flight.CERTIFICATE:
                shown = flight.certificates(message, version=hello.version)
            elif kind == flight.KEY_EXCHANGE:
                suite = suites().get(hello.suite)
                group = flight.named_curve(message) if suite is not None and suite.elliptic else None
            elif kind == flight.SERVER_DONE:
                break
    except BadFlight as bad:
        raise Refused(f"tls: {bad}", to=talk.place) from bad
    return Heard(version=hello.version, suite=hello.suite, group=group, certificates=shown)


class _Talk:
    """A connection on which a hello was said."""

    def __init__(self, line: Line, offer: Offer) -> None:
        self.place = line.place
        self.said = hello_message(offer, os.urandom(64))
        self.reader = FlightReader()
        self._record = hello_record(self.said, offer.version)
        self._ends = time.monotonic() + line.within(ANSWER_WITHIN)
        self._connection = line.connect()

    def __enter__(self) -> Self:
        try:
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.sendall(self._record)
        except OSError as bad:
            self._connection.close()
            raise Refused(str(bad), to=self.place) from bad
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def hello(self) -> ServerHello:
        """The first message. Raises Refused."""
        for kind, message in self.messages(start=0):
            if kind != flight.SERVER_HELLO:
                break
            try:
                return flight.server_hello(message)
            except BadFlight as bad:
                raise Refused(f"tls: {bad}", to=self.place) from bad
        raise Refused("the server's first message is no hello", to=self.place)

    def messages(self, *, start: int) -> "_Messages":
        """From that one on, waiting for each. Raises Refused."""
        return _Messages(self, start)

    def more(self) -> None:
        """Wait for bytes. Raises Refused when none come."""
        if self.reader.alert is not None:
            raise Refused(flight.alert_words(self.reader.alert), to=self.place)
        left = self._ends - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            data = self._connection.recv(_PIECE)
        except OSError as bad:
            raise Refused(str(bad) or "i/o timeout", to=self.place) from bad
        if not data:
            raise Refused("EOF", to=self.place)
        try:
            self.reader.feed(data)
        except BadFlight as bad:
            raise Refused(f"tls: {bad}", to=self.place) from bad


class _Messages:
    def __init__(self, talk: _Talk, start: int) -> None:
        self._talk, self._next = talk, start

    def __iter__(self) -> "_Messages":
        return self

    def __next__(self) -> tuple[int, bytes]:
        while len(self._talk.reader.messages) <= self._next:
            self._talk.more()
        self._next += 1
        return self._talk.reader.messages[self._next - 1]
