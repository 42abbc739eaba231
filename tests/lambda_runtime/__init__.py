"""Runs functions as Lambda does: from an unpacked zip, under Lambda's own runtime client, one process each."""
