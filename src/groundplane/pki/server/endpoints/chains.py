"""bundle: the chain of a certificate that is given, or that a server shows."""

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.server.endpoints.look import parameters
from groundplane.pki.server.model import Call, Result
from groundplane.pki.server.services import Services

_USUAL = "ubiquitous"


def bundle(services: Services, call: Call) -> Result:
    """A certificate before a server."""
    journal, bundles = services.journal, services.bundles
    assert bundles is not None
    blob = parameters(services, call, (("certificate",), ("domain",)))
    flavor = blob.get("flavor") or _USUAL
    journal.info(f"request for flavor {flavor}")
    name, address = blob.get("domain", ""), blob.get("ip", "")
    if "certificate" in blob:
        key = blob.get("private_key", "").encode()
        try:
            found = bundles.of_certificate(blob["certificate"].encode(), key, flavor=flavor, name=name, address=address)
        except CfsslError:
            journal.warning("bad PEM certificate or private key")
            raise
    else:
        try:
            found = bundles.of_server(name, address, flavor=flavor)
        except CfsslError as bad:
            journal.warning(f"couldn't bundle from remote: {bad}")
            raise
    journal.info("wrote response")
    return Result(value=found)
