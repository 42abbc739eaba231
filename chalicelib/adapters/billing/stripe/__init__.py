"""Stripe. Nothing is imported here: reading events must not load the SDK."""
