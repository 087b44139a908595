"""What the certificate servers offer their operators.

`audit`: lines for what was issued and revoked. `side`: a second door, with metrics and health.
"""
