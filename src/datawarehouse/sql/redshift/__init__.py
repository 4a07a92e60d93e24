"""Statements of Amazon Redshift in Athena's form, or what in them needs a person and why: pure functions."""
