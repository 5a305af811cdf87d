"""The order in which samples are computed: tours through similar samples, and their chunks."""

from solvers.ordering.chunking import chunks
from solvers.ordering.tour import Method, order

__all__ = ["Method", "chunks", "order"]
