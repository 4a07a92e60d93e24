"""Fewer and better files of the same rows, and none for longer than they are to be kept."""
