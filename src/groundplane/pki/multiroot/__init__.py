"""Several CAs behind one address, as CFSSL's `multirootca` has them: each by a label, for those who have its key.

Words: `ini` (the file of roots), `endpoints` (authsign, info and metrics). Effects: `roots` (CAs from files),
`counters` (what the processes count together), `site` and `run` (the server, which stands on `groundplane.pki.server`).
"""
