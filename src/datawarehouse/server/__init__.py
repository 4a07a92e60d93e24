"""HTTP: one file for each wire protocol, and the dispatch between them."""
