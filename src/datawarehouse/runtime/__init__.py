"""The embedded host: starts the parts of a warehouse together, and closes them in order."""
