"""Tokens of PKCS#11 modules: a module loaded once, a token logged in to once, whoever asks and however often.

A login counts for a whole process, and no session survives a fork: a new process begins anew. One thread at a time uses
a module, which is all that most of them stand.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11

from groundplane.errors import Failed, Invalid, NotFound
from groundplane.pki.keystore.password import read_password
from groundplane.pki.keystore.uri import KeyURI

MODULE_VARIABLE, PIN_VARIABLE = "PKCS11_MODULE_PATH", "GROUNDPLANE_PKCS11_PIN"
_USUAL_MODULES = ("/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so", "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so")
_LOST = (
    *(pkcs11.SessionHandleInvalid, pkcs11.SessionClosed, pkcs11.UserNotLoggedIn, pkcs11.KeyHandleInvalid),
    *(pkcs11.ObjectHandleInvalid, pkcs11.DeviceRemoved, pkcs11.DeviceError, pkcs11.TokenNotPresent),
    pkcs11.GeneralError,
)
"""What a module says when a session was ended behind our back: its token was drawn, or its service started again."""
T = TypeVar("T")


class Token:
    """A token that somebody is logged in to; `use` hands out its session."""

    def __init__(self, uri: KeyURI) -> None:
        self._uri = uri
        self._module = _module(uri)
        self._session: Any = None
        self._process = -1
        self._refused: str | None = None

    def use(self, call: Callable[[Any], T]) -> T:
        """What `call` makes of the session, which is opened again if it was lost. Raises NotFound, Invalid, Failed."""
        with self._module.lock:
            try:
                return call(self._opened())
            except _LOST:
                self._forget()
            except pkcs11.PKCS11Error as bad:
                raise refusal(bad, self._uri) from bad
            try:
                return call(self._opened())
            except pkcs11.PKCS11Error as bad:
                self._forget()
                raise refusal(bad, self._uri) from bad

    def write(self, call: Callable[[Any], T]) -> T:
        """What `call` makes of a session that may change the token."""
        with self._module.lock:
            try:
                self._opened()  # which logs in, for this session too
                session = self._found().open(rw=True)
                try:
                    return call(session)
                finally:
                    session.close()
            except pkcs11.PKCS11Error as bad:
                raise refusal(bad, self._uri) from bad

    def _opened(self) -> Any:
        if self._process != os.getpid():
            self._session = None  # the parent's: closing it here would close it there
            self._process = os.getpid()
        if self._session is None:
            pin = _pin(self._uri)
            if pin == self._refused:  # a daemon that tried it again and again would lock the token
                raise refusal(pkcs11.PinIncorrect(), self._uri)
            token = self._found()
            try:
                self._session = token.open(user_pin=pin)
            except pkcs11.UserAlreadyLoggedIn:
                self._session = token.open()
            except pkcs11.PinIncorrect:
                self._refused = pin
                raise
        return self._session

    def _forget(self) -> None:
        lost, self._session = self._session, None
        if lost is None:
            return
        try:
            lost.close()
        except pkcs11.PKCS11Error:
            pass  # it is closed already: that is how it was lost

    def _found(self) -> Any:
        tokens = [one for one in self._module.library().get_tokens() if _is_wanted(one, self._uri)]
        if len(tokens) != 1:
            words = "there is no such token" if not tokens else "several tokens are called so"
            raise NotFound(words, to=f"token={self._uri.token or self._uri.serial or self._uri.slot}", hint=_WHICH)
        return tokens[0]


_WHICH = "see `pkcs11-tool --list-slots`, or `softhsm2-util --show-slots`"


class _Module:
    """A loaded module, in whichever process."""

    def __init__(self, path: str) -> None:
        self.lock = threading.RLock()
        self._path = path
        self._process = os.getpid()
        try:
            self._library = pkcs11.lib(path)
        except (RuntimeError, pkcs11.PKCS11Error, OSError) as bad:
            raise NotFound(f"the module cannot be loaded: {bad}", to=path, hint="name another") from bad

    def library(self) -> Any:
        if self._process != os.getpid():
            self._library.reinitialize()  # what was there before the fork is the parent's
            self._process = os.getpid()
        return self._library


_GUARD = threading.Lock()
_MODULES: dict[str, _Module] = {}
_TOKENS: dict[tuple[str, ...], Token] = {}


def token_of(uri: KeyURI) -> Token:
    """The token that holds the URI's key, which all keys in it share. Raises NotFound, Invalid."""
    slot = "" if uri.slot is None else str(uri.slot)
    which = (uri.module, uri.token, uri.serial, uri.manufacturer, uri.model, slot, uri.pin_source)
    with _GUARD:
        return _TOKENS[which] if which in _TOKENS else _TOKENS.setdefault(which, Token(uri))


def refusal(bad: pkcs11.PKCS11Error, uri: KeyURI) -> Failed | Invalid:
    """A module's refusal in our words."""
    where = f"token={uri.token or uri.serial or uri.slot}"
    if isinstance(bad, pkcs11.PinIncorrect | pkcs11.PinInvalid | pkcs11.PinLenRange):
        return Invalid("the PIN is wrong", to=where, hint="mend it first: a token locks itself after a few wrong ones")
    if isinstance(bad, pkcs11.PinLocked):
        return Failed("too many wrong PINs: the token has locked itself", to=where, hint="its officer can unlock it")
    return Failed(f"the security module refused: {type(bad).__name__} {bad}".rstrip(), to=where)


def _module(uri: KeyURI) -> _Module:
    path = uri.module or os.environ.get(MODULE_VARIABLE) or next(filter(os.path.exists, _USUAL_MODULES), "")
    if not path:
        hint = f"add module-path=… to the URI, or set {MODULE_VARIABLE}"
        raise Invalid("which PKCS#11 module?", to="pkcs11 URI", hint=hint)
    return _MODULES[path] if path in _MODULES else _MODULES.setdefault(path, _Module(path))


def _is_wanted(token: Any, uri: KeyURI) -> bool:
    serial = token.serial.decode(errors="replace") if isinstance(token.serial, bytes) else token.serial
    said = (
        (uri.token, token.label),
        (uri.serial, serial),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    if any(wanted and wanted != found.strip(" \0") for wanted, found in said):
        return False
    return uri.slot is None or token.slot.slot_id == uri.slot


def _pin(uri: KeyURI) -> str:
    if uri.pin_source:
        source = uri.pin_source if uri.pin_source.startswith(("file:", "env:")) else f"file:{uri.pin_source}"
        return read_password(source, what="PIN").decode(errors="surrogateescape")
    if PIN_VARIABLE in os.environ:
        return os.environ[PIN_VARIABLE]
    hint = f"add pin-source=file:PATH to the URI, or set {PIN_VARIABLE}"
    raise Invalid("the token wants a PIN", to="pkcs11 URI", hint=hint)
