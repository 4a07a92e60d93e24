"""Athena SQL, purely: text in, plan out. Parsed, checked, pruned and translated to DuckDB; nothing is executed here."""
