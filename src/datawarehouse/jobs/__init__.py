"""What happens on a schedule: the jobs of batch input tables."""
