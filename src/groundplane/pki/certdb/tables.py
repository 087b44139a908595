"""CFSSL's two tables, after its migrations 001 and 002, and groundplane's own beside them.

CFSSL's programs name every column that they use, so that tables of one's own do not disturb them.
"""

import sqlalchemy as sa

from groundplane.pki.certdb.columns import Body, Document, Instant, Octets, OptionalInstant, Text

METADATA = sa.MetaData()

CERTIFICATES = sa.Table(
    "certificates",
    METADATA,
    sa.Column("serial_number", Octets, primary_key=True),
    sa.Column("authority_key_identifier", Octets, primary_key=True),
    sa.Column("ca_label", Octets),
    sa.Column("status", Octets, nullable=False),
    sa.Column("reason", sa.Integer),
    sa.Column("expiry", Instant),
    sa.Column("revoked_at", Instant),
    sa.Column("pem", Octets, nullable=False),
    sa.Column("issued_at", OptionalInstant),
    sa.Column("not_before", OptionalInstant),
    sa.Column("metadata", Document),
    sa.Column("sans", Document),
    sa.Column("common_name", Text),
)
NEWER_COLUMNS = ("issued_at", "not_before", "metadata", "sans", "common_name")  # of migration 002

OCSP_RESPONSES = sa.Table(
    "ocsp_responses",
    METADATA,
    sa.Column("serial_number", Octets, primary_key=True),
    sa.Column("authority_key_identifier", Octets, primary_key=True),
    sa.Column("body", Body, nullable=False),
    sa.Column("expiry", Instant),
)

# The last number that a CRL of an issuer had.
CRL_NUMBERS = sa.Table(
    "groundplane_crl_numbers",
    METADATA,
    sa.Column("authority_key_identifier", Octets, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

# Since when a revoked certificate's key cannot be trusted, where that is known: CFSSL has no column for it.
INVALIDITY = sa.Table(
    "groundplane_invalidity",
    METADATA,
    sa.Column("serial_number", Octets, primary_key=True),
    sa.Column("authority_key_identifier", Octets, primary_key=True),
    sa.Column("invalid_since", Instant, nullable=False),
)
