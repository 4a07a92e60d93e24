"""Records become typed rows or rejects, and those become published files."""
