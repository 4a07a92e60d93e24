"""The translation of a statement: each kind of node of Athena SQL, as DuckDB SQL."""
