"""The one record, in SQLite, of which files are live and up to where each stream is converted."""
