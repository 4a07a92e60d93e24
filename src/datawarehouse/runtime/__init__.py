"""The embedded host: puts the parts together, and takes them apart in order."""
