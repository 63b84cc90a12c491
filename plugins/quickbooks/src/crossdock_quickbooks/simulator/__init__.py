"""A stand-in for one QuickBooks Online company, over real HTTP, with QuickBooks' own refusals."""

from crossdock_quickbooks.simulator.account import QuickBooksSimulator

__all__ = ("QuickBooksSimulator",)
