"""Compaction (fewer and better files of the same rows) and expiry (no file is kept longer than declared)."""
