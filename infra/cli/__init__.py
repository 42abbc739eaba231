"""The `paygrade` command: a client of the API, and the local stack's front door."""
