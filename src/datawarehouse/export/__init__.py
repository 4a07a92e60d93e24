"""Exports for other engines: links to the live files, and the DDL or view that names the links."""
