"""Vemetric: web and product analytics in one executable."""

__version__ = "0.1.0"
