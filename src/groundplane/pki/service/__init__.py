"""`groundplane pki serve`: CFSSL's HTTP API as one would want it on a network.

It is `pki.server` with what CFSSL lacks around it: who may call what, an audit line for whatever was issued or revoked,
metrics, logs as JSON with request ids, health with depth; the endpoints that make or hand out what should not be had
unasked are off until they are named. Words: `model`. Decisions: `access`. Door: `config`. Around the server: `guard`,
`observer` with `audit` and `metrics`, `health`; `named` tries what the file names, `site` puts it together, `run`
serves.
"""
