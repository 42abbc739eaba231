"""Why there is no verdict."""


class AuditError(Exception):
    """A tool, the index, a lock or the list of accepted vulnerabilities can't be used."""
