"""Made-up events for any declared schema: seeded, and malformed, late and sent twice as often as one asks."""
