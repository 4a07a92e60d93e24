"""The interactive shell, `dw sql`."""
