"""Back-ups of a data folder: consistent while it is written, sharing what they have in common, verified both ways."""
