"""Brings an environment to AWS and keeps it there: stack, policies, functions, what comes after them."""
