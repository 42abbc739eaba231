"""Adapters: what the ports are in the real world."""
