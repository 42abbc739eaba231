"""Paygrade, the monetization control plane: everything that runs on Lambda."""
