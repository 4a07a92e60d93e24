"""Tells somebody when something is wrong, and when it is over: causes, not records."""
