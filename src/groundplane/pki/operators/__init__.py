"""What the certificate servers offer their operators.

`audit`: lines for what is issued and revoked; `trail`: whether a server loses them; `place`: whether there is room.
`side`: a second door, with metrics and health. `log`: JSON lines. `counters`, `watch`: what servers of several
processes share, and when they load anew.
"""
