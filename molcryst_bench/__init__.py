"""Datasets and benchmarks."""
