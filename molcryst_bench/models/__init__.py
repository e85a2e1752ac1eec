"""Batch to prediction: one file per architecture, shared parts in ``components``."""
