"""Made-up events for any declared schema, from a seed; the shares of malformed, late and duplicate events can be
chosen."""
