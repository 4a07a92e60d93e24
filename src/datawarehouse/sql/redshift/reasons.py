"""Why a part of a statement is not translated."""

from __future__ import annotations


class NeedsPerson(Exception):
    """No form of Athena is known that gives the same answer; the text says why, and what to write."""
