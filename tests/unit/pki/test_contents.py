"""The package's contents page: complete, and light until something heavy is asked for; and the status table's rows."""

import subprocess
import sys
from datetime import timedelta

from groundplane import pki
from groundplane.pki import describe
from tests.unit.pki.samples import NOW, issuer


def test_every_name_on_the_contents_page_exists() -> None:
    assert sorted(pki.__all__) == pki.__all__
    assert all(getattr(pki, name) is not None for name in pki.__all__)
    assert set(pki._HOME_OF) == set(pki.__all__)


def test_parsing_and_deciding_do_not_load_cryptography() -> None:
    program = (
        "import sys; from groundplane.pki import parse_policy, plan_root, assess; print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"


def test_a_certificate_is_described_in_few_words() -> None:
    row = describe(issuer(), path="/opt/ca/ca.pem", now=NOW + timedelta(days=1))
    assert (row.name, row.issuer, row.path, row.is_ca) == ("kubernetes-ca", "kubernetes-ca", "/opt/ca/ca.pem", True)
    assert (row.key, row.days_left, row.names) == ("rsa-4096", 36498, ())
