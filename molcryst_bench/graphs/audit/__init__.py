"""Leaks between the subsets of a split: what the audit found, and how it finds it."""
