"""Letting other engines read the live files: links to them, and the DDL or view that names the links."""
