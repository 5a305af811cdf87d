"""Reservoir policies, one per file: which item goes where, which is read, which leaves."""
