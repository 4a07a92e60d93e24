"""Accepted events become durable records in the journal."""
