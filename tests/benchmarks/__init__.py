"""Benchmarks: scripts that print ratios against a yardstick of the same run. Never part of the test suite."""
