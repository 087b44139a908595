"""What tokens are asked, how often, and what comes of it when they fail."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from groundplane.errors import Failed, Invalid, NotFound
from groundplane.pki.keystore import token as tokens
from groundplane.pki.keystore.uri import KeyURI, parse_uri


@dataclass
class FakeToken:
    """A token that logs in one user, once for all sessions."""

    label: str = "ca"
    serial: bytes = b"12\0\0"
    manufacturer_id: str = "maker  "
    model: str = "box"
    pins: list[str | None] = field(default_factory=list)
    logged_in: bool = False
    closed: int = 0

    def open(self, *, rw: bool = False, user_pin: str | None = None) -> "FakeToken":
        self.pins.append(user_pin)
        if user_pin is not None:
            if self.logged_in:
                raise pkcs11.UserAlreadyLoggedIn
            if user_pin != "1234":
                raise pkcs11.PinIncorrect
            self.logged_in = True
        return FakeToken(pins=[str(rw)])

    def close(self) -> None:
        self.closed += 1


class FakeLibrary:
    def __init__(self, *held: FakeToken) -> None:
        self.held = held

    def get_tokens(self) -> tuple[FakeToken, ...]:
        return self.held


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    place = tmp_path / "pin"
    place.write_text("1234")
    place.chmod(0o600)
    return place


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MODULES", {})
    monkeypatch.setattr(tokens, "_TOKENS", {})


def uri(pin: Path, more: str = "") -> KeyURI:
    return parse_uri(f"pkcs11:token=ca;object=x{more}?module-path=/fake.so&pin-source=file:{pin}")


def use(monkeypatch: pytest.MonkeyPatch, *held: FakeToken) -> None:
    monkeypatch.setattr(pkcs11, "lib", lambda _path: FakeLibrary(*held))


def test_all_keys_of_a_token_share_one_login(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    held = FakeToken()
    use(monkeypatch, held)
    first, second = tokens.token_of(uri(pin)), tokens.token_of(uri(pin, ";id=%01"))
    assert first is second
    assert first.use(lambda session: session) is second.use(lambda session: session)
    assert held.pins == ["1234"]
    otherwise = tokens.token_of(uri(pin, ";serial=12"))  # the same one, said in another way
    assert otherwise is not first
    otherwise.use(lambda session: session)
    assert held.pins == ["1234", "1234", None]


def test_a_lost_session_is_opened_again_once(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    use(monkeypatch, FakeToken())
    token = tokens.token_of(uri(pin))
    seen: list[Any] = []

    def sign(session: Any) -> str:
        seen.append(session)
        if len(seen) == 1:
            raise pkcs11.SessionHandleInvalid
        return "signed"

    assert token.use(sign) == "signed"
    assert seen[0] is not seen[1]
    assert seen[0].closed == 1

    def never(session: Any) -> str:
        seen.append(session)
        raise pkcs11.DeviceRemoved

    with pytest.raises(Failed, match="DeviceRemoved"):
        token.use(never)
    assert len(seen) == 4
    assert token.use(lambda _: "back") == "back"


def test_a_wrong_pin_is_tried_once_and_not_until_the_token_locks(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    held = FakeToken()
    use(monkeypatch, held)
    pin.write_text("9999")
    token = tokens.token_of(uri(pin))
    for _ in range(5):
        with pytest.raises(Invalid, match="the PIN is wrong"):
            token.use(lambda session: session)
    assert held.pins == ["9999"]
    pin.write_text("1234")
    token.use(lambda session: session)


def test_a_session_that_writes_is_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    use(monkeypatch, FakeToken())
    token = tokens.token_of(uri(pin))
    seen: list[Any] = []

    def write(session: Any) -> None:
        seen.append(session)
        raise pkcs11.TokenWriteProtected

    with pytest.raises(Failed, match="TokenWriteProtected"):
        token.write(write)
    assert (seen[0].pins, seen[0].closed) == (["True"], 1)


@pytest.mark.parametrize("more", ["", ";serial=12", ";manufacturer=maker;model=box"])
def test_a_token_is_found_by_all_that_is_said(monkeypatch: pytest.MonkeyPatch, pin: Path, more: str) -> None:
    use(monkeypatch, FakeToken(label="other"), FakeToken())
    tokens.token_of(uri(pin, more)).use(lambda session: session)


@pytest.mark.parametrize("more", [";serial=13", ";manufacturer=other", ";model=other"])
def test_a_token_that_differs_in_anything_is_another(monkeypatch: pytest.MonkeyPatch, pin: Path, more: str) -> None:
    use(monkeypatch, FakeToken())
    with pytest.raises(NotFound, match="no such token"):
        tokens.token_of(uri(pin, more)).use(lambda session: session)


def test_two_tokens_of_one_name_are_not_guessed_between(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    use(monkeypatch, FakeToken(), FakeToken(serial=b"13"))
    with pytest.raises(NotFound, match="several tokens"):
        tokens.token_of(uri(pin)).use(lambda session: session)
    tokens.token_of(uri(pin, ";serial=13")).use(lambda session: session)


def test_a_new_process_begins_anew(monkeypatch: pytest.MonkeyPatch, pin: Path) -> None:
    held = FakeToken()
    use(monkeypatch, held)
    token = tokens.token_of(uri(pin))
    parents = token.use(lambda session: session)
    again: list[bool] = []
    library = tokens._MODULES["/fake.so"]._library  # what a fork leaves behind
    monkeypatch.setattr(library, "reinitialize", lambda: again.append(True), raising=False)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    held.logged_in = False
    assert token.use(lambda session: session) is not parents
    assert (again, parents.closed) == ([True], 0)
