"""Crossdock: business records moved across systems exactly once, or not at all."""

__version__ = "0.1.0"
