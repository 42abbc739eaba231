"""Threads that may be asked to end before they began: a signal can come in the middle of a start."""

import threading


def wait_for(thread: threading.Thread, timeout_seconds: float | None = None) -> bool:
    """Whether the thread has ended, or never began, within that time."""
    if thread.ident is None:
        return True
    thread.join(timeout_seconds)
    return not thread.is_alive()
