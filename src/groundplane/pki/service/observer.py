"""What is noted of every call: lines in the log and in the audit, and the counters."""

from groundplane.errors import Unavailable
from groundplane.pki.operators.log import JsonJournal
from groundplane.pki.operators.trail import Trail
from groundplane.pki.server import envelope
from groundplane.pki.server.model import Answer, Call, Endpoint, Refused
from groundplane.pki.service import audit, metrics
from groundplane.pki.service.model import CALLER, Caller
from groundplane.pki.service.replay import Replays

_OK, _UNAVAILABLE = 200, 503
_NOT_DONE = "nothing was done: it could not be written into the audit; the server's log says why"
_NOT_HANDED_OUT = "it was done, but nothing is handed out: the audit could not be written; the server's log says why"


class Watcher:
    """An observer; `trail` None: there is no audit, `replays` None: requests may come again."""

    def __init__(self, journal: JsonJournal, trail: Trail | None, replays: Replays | None) -> None:
        self._journal = journal
        self._replays = replays
        self._trail = trail

    def admit(self, endpoint: Endpoint, call: Call) -> None:
        """The guard has decided who; here it is whether it is the first time. Raises Refused."""
        if endpoint.name in audit.AUDITED and not self._told(audit.asked(endpoint.name, call)):
            raise Refused(_UNAVAILABLE, _NOT_DONE)
        if self._replays is not None and endpoint.name == "authsign":
            self._replays.admit(call.body)

    def answered(self, endpoint: Endpoint, call: Call, answer: Answer, *, seconds: float) -> Answer:
        """503 in place of what the audit does not know."""
        is_due = endpoint.name in audit.AUDITED and answer.body != _UNTOLD.body
        if is_due and not self._told(audit.entry(endpoint.name, call, answer)):
            words = _NOT_HANDED_OUT if answer.code == _OK else _NOT_DONE
            answer = envelope.failure(Refused(_UNAVAILABLE, words))
        metrics.count(endpoint, answer, seconds=seconds)
        self._journal.event(
            "call",
            endpoint=endpoint.name,
            client=call.client,
            caller=(CALLER.get() or Caller()).word,
            status=answer.status,
            code=answer.code,
            seconds=round(seconds, 6),
        )
        return answer

    def _told(self, line: dict[str, object]) -> bool:
        """Whether the audit has it; else the log does."""
        if self._trail is None:
            return True
        try:
            self._trail.write(line)
        except Unavailable as bad:
            self._journal.trouble("not audited", error=str(bad), line=line)
            return False
        return True


_UNTOLD = envelope.failure(Refused(_UNAVAILABLE, _NOT_DONE))
