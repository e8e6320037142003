"""A client of Retort's controller."""

from retort.client import Retort, Tls
from retort.errors import RetortError
from retort.run import Run

__all__ = ["Retort", "RetortError", "Run", "Tls"]
