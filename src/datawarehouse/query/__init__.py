"""SQL answered from live files by DuckDB."""
