"""Billing providers, one package each; they know nothing of each other."""
