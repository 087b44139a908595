"""What goes on beside the requests: challenges are validated, half-done orders ended, old things forgotten.

The database is the queue, so nothing is lost when a process dies: a challenge that is claimed is due again once the
claim ends. A client's answer wakes this process at once; others look every few seconds.
"""

import asyncio
import contextlib
from datetime import timedelta

from groundplane.errors import GroundplaneError, Unavailable
from groundplane.observe.log import logger
from groundplane.pki.acme import metrics
from groundplane.pki.acme.context import Context
from groundplane.pki.acme.model import AccountStatus, AuthorizationStatus, Challenge
from groundplane.pki.acme.orders import complete
from groundplane.pki.acme.plan import after_attempt, authorization_status
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.validation import Validator

_LOOK_EVERY = 5.0
_UPKEEP_EVERY = 60.0
_CLAIM_MARGIN = timedelta(seconds=30)
_KEPT = timedelta(days=7)
_AT_ONCE = 100
_log = logger("acme")


class Worker:
    """One for each process."""

    def __init__(self, context: Context, validator: Validator, *, wake: asyncio.Event) -> None:
        self._context = context
        self._validator = validator
        self._wake = wake
        self._places = asyncio.Semaphore(context.config.validation.at_once)

    def use(self, context: Context, validator: Validator) -> None:
        """From the next validation on; how many there are at a time stays."""
        self._context = context
        self._validator = validator

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._upkeep())
            while True:
                self._wake.clear()
                wait = await self._validate_due(tasks)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    async def _validate_due(self, tasks: asyncio.TaskGroup) -> float:
        """Begin what is due; returns the seconds until something may be again."""
        store, now = self._context.store, self._context.now()
        try:
            config = self._context.config.validation
            until = now + config.timeout + _CLAIM_MARGIN
            due = await asyncio.to_thread(store.claim_due, now=now, until=until, most=config.at_once)
            for challenge in due:
                await self._places.acquire()
                tasks.create_task(self._validate(challenge))
            following = await asyncio.to_thread(store.next_due)
        except GroundplaneError as failed:
            _log.error("acme.worker.failed", error=str(failed))
            return _LOOK_EVERY
        if following is None:
            return _LOOK_EVERY
        return min(_LOOK_EVERY, max(0.0, (following - self._context.now()).total_seconds()))

    async def _validate(self, challenge: Challenge) -> None:
        try:
            problem = await self._outcome(challenge)
            await asyncio.to_thread(self._record, challenge, problem)
        except GroundplaneError as failed:
            _log.error("acme.worker.failed", challenge=challenge.id, error=str(failed))  # it is due again later
        except Exception as bug:  # noqa: BLE001 - one strange answer must not end the validation of others
            _log.error("acme.worker.bug", challenge=challenge.id, exc_info=bug)
        finally:
            self._places.release()
            self._wake.set()

    async def _outcome(self, challenge: Challenge) -> Problem | None:
        store = self._context.store
        authorization = await asyncio.to_thread(store.authorization, challenge.authorization)
        account = None if authorization is None else await asyncio.to_thread(store.account, authorization.account)
        if authorization is None or account is None or account.status is not AccountStatus.VALID:
            return Problem(Type.UNAUTHORIZED, "the account has ended")
        if authorization_status(authorization, now=self._context.now()) is not AuthorizationStatus.PENDING:
            return Problem(Type.UNAUTHORIZED, "the authorization has ended")
        url = self._context.urls.account(account.id)
        return await self._validator.validate(challenge, authorization, thumbprint=account.thumbprint, account_url=url)

    def _record(self, challenge: Challenge, problem: Problem | None) -> None:
        context, now = self._context, self._context.now()
        config = context.config
        if problem is not None:
            attempts = challenge.attempts + 1
            wait = after_attempt(attempts, most=config.validation.attempts, first_wait=config.validation.first_wait)
            if wait is not None:
                context.store.postpone(challenge, due=now + wait, error=problem.document())
                return
        error = None if problem is None else problem.document()
        expires = now + config.lifetimes.valid_authorization
        context.store.end_challenge(challenge, at=now, error=error, expires=expires)
        metrics.VALIDATIONS.labels(challenge.type.value, "valid" if problem is None else "invalid").inc()
        _log.info("acme.validated", challenge=challenge.id, type=challenge.type.value, error=problem and str(problem))

    async def _upkeep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._tidy)
            except GroundplaneError as failed:
                _log.error("acme.upkeep.failed", error=str(failed))
            except Exception as bug:  # noqa: BLE001 - tidying up must not end the server
                _log.error("acme.upkeep.bug", exc_info=bug)
            await asyncio.sleep(_UPKEEP_EVERY)

    def _tidy(self) -> None:
        store = self._context.store
        for identifier in store.unfinished(most=_AT_ONCE):
            try:
                if (order := store.order(identifier)) is not None:
                    complete(order, self._context)
            except Unavailable as failed:  # a log of transparency, perhaps: other orders do not wait for it
                _log.error("acme.order.unfinished", order=identifier, error=str(failed))
        store.forget(now=self._context.now(), kept=_KEPT)
