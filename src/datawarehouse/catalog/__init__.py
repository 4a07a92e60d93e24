"""The truth about tables, in SQLite: which files are live, and up to where each stream is converted."""
