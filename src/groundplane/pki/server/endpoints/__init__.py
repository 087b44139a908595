"""The endpoints of CFSSL's API, by subject: each function takes the services and a call, and returns a result."""
