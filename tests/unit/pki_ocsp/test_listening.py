"""What a responder's log says of where it listens, and when."""

import logging
import socket
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.ocsp.serve import run
from groundplane.pki.ocsp.site import ResponderSite


@pytest.fixture
def taken() -> Any:
    """A port that nobody else can have."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
    logging.getLogger("uvicorn.error").disabled = False


@pytest.mark.parametrize(("hopeful", "lines"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("is_port", [True, False])
def test_only_cfssl_s_says_that_it_listens_before_it_does(
    taken: int, *, hopeful: bool, lines: int, is_port: bool
) -> None:
    said: list[str] = []
    journal = Journal(write=said.append, clock=lambda: datetime.now(UTC))
    nothing = cast("ResponderSite", None)  # it is not come to
    port = taken if is_port else 99999
    with pytest.raises(CfsslError, match="address already in use" if is_port else "invalid port"):
        run(
            lambda: nothing,
            nothing,
            address="127.0.0.1",
            port=port,
            workers=1,
            journal=journal,
            hopeful=hopeful,
        )
    assert len(said) == lines
