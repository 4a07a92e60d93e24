"""What a statement becomes: each kind of node of Athena SQL, as DuckDB SQL."""
