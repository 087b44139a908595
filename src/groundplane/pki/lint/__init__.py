"""Rules about certificates, by zlint's names: what RFC 5280, the CA/Browser Forum and others ask of one.

Words: `model`. Read: `read` (DER), `parts`, `view` (a certificate as rules see it), `domains`, `oids`, `conditions`.
Decisions: one module a source, or a part of one; `registry` has them all, `verdict` applies them.
"""
