"""Molecular dynamics with learned force fields, and with any that ASE knows."""
