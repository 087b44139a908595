"""CFSSL's error codes, a thousand for each category, and the form in which its clients match on them.

An error with a code prints as compact JSON, one without (`Plain`) as its text alone.
"""

from enum import Enum

from groundplane.pki.cfssl.goencode import compact


class Code(Enum):
    """Number and message. A wrapped error keeps the number and has the cause's text."""

    CERTIFICATE_UNKNOWN = (1000, "Unknown certificate error")
    CERTIFICATE_READ = (1001, "Failed to read certificate")
    CERTIFICATE_DECODE = (1002, "Failed to decode certificate")
    CERTIFICATE_PARSE = (1003, "Failed to parse certificate")
    SELF_SIGNED = (1100, "Certificate is self signed")
    VERIFY = (1200, "Unable to verify certificate")
    NOT_A_SIGNER = (1210, "x509: certificate is not authorized to sign other certificates")
    EXPIRED = (1211, "x509: certificate has expired or is not yet valid")
    CA_NAME_REFUSED = (1212, "x509: a root or intermediate certificate is not authorized to sign for this name")
    TOO_LONG_CHAIN = (1213, "x509: too many intermediates for path length constraint")
    USAGE_INCOMPATIBLE = (1214, "x509: certificate specifies an incompatible key usage")
    ISSUER_MISMATCH = (1215, "x509: issuer name does not match subject from issuing certificate")
    CONSTRAINED_WITHOUT_SANS = (1216, "x509: issuer has name constraints but leaf doesn't have a SAN extension")
    NAME_UNCONSTRAINED = (1217, "x509: issuer has name constraints but leaf contains unknown or unconstrained name")
    TOO_MANY_CONSTRAINTS = (1218, "x509: too many name constraints")
    CA_USAGE_REFUSED = (1219, "x509: a root or intermediate certificate is not authorized for an extended key usage")
    UNKNOWN_AUTHORITY = (1220, "x509: certificate signed by unknown authority")
    EXTENSION_REFUSED = (1300, "Invalid certificate request")
    SERIAL_MISSING = (1400, "Missing serial number in request")
    KEY_UNKNOWN = (2000, "Unknown private key error")
    KEY_READ = (2001, "Failed to read private key")
    KEY_DECODE = (2002, "Failed to decode private key")
    KEY_PARSE = (2003, "Failed to parse private key")
    KEY_ENCRYPTED = (2100, "Private key is encrypted.")
    KEY_KIND = (2200, "Private key algorithm is not RSA or ECC or Ed25519")
    KEY_MISMATCH = (2300, "Private key does not match public key")
    KEY_GENERATION = (2400, "Failed to generate private key")
    INTERMEDIATE_READ = (3001, "Failed to read intermediate certificate")
    INTERMEDIATE_PARSE = (3003, "Failed to parse intermediate certificate")
    ROOT_READ = (4001, "Failed to read root certificate")
    ROOT_PARSE = (4003, "Failed to parse root certificate")
    NO_USAGES = (5100, "Invalid policy: no key usage available")
    POLICY = (5200, "Invalid or unknown policy")
    REQUEST_REFUSED = (5300, "Policy violation request")
    PROFILE_UNKNOWN = (5400, "Unknown policy profile")
    NAME_REFUSED = (5500, "Request does not match policy whitelist")
    DIAL = (6000, "Failed to dial remote server")
    CLIENT_AUTHENTICATION = (7100, "API client authentication failure")
    CLIENT_JSON = (7200, "API client JSON config error")
    CLIENT_IO = (7300, "API client IO error")
    CLIENT_HTTP = (7400, "API client HTTP error")
    CLIENT_REFUSED = (7500, "API client error: Server request failed")
    NO_CERTIFICATE = (8001, "No certificate provided")
    NOT_ITS_ISSUER = (8100, "Certificate not issued by this issuer")
    REVOCATION_STATUS = (8200, "Invalid revocation status")
    CSR_READ = (9001, "CSR file read failed")
    CSR_DECODE = (9002, "CSR Decode failed")
    CSR_PARSE = (9003, "CSR Parsing failed")
    CSR_BAD = (9300, "CSR Bad request")
    TRANSPARENCY = (10000, "Certificate transparency parsing failed due to unknown error")
    LOG_SUBMISSION = (10100, "Certificate transparency precertificate submission failed")
    STORE_UNKNOWN = (11000, "Certificate store action failed due to unknown error")
    STORE_INSERTION = (11100, "Certificate store action failed due to unknown error")
    RECORD_NOT_FOUND = (11200, "Certificate store action failed due to unknown error")

    @property
    def number(self) -> int:
        """Category * 1000 + reason."""
        return self.value[0]


def coded(number: int) -> Code:
    """The code of that number. Raises StopIteration for none."""
    return next(code for code in Code if code.number == number)


class CfsslError(Exception):
    """What a command ends with; `str` is the line that goes to standard error."""


class Coded(CfsslError):
    """An error with CFSSL's code; `text` replaces the code's own message."""

    def __init__(self, code: Code, text: str = "") -> None:
        self.code = code
        self.text = text or code.value[1]
        super().__init__(self.text)

    def __str__(self) -> str:
        return compact({"code": self.code.number, "message": self.text})


class Plain(CfsslError):
    """An error of Go's own, without a code."""


class Quiet(CfsslError):
    """The reason is in the log already, and CFSSL exits 0 all the same; `printed` goes to standard output."""

    def __init__(self, printed: str = "") -> None:
        self.printed = printed
        super().__init__(printed)
