"""Rejected records: by cause, and as the error documents that Firehose writes."""
