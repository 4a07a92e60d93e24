"""Athena SQL, as pure functions: a statement is parsed, checked, pruned and translated to DuckDB SQL, but not
executed."""
