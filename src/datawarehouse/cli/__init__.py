"""The `dw` command: one file for each verb, no logic."""
