"""Data files: their schema, their names and footers, publishing and merging them."""
