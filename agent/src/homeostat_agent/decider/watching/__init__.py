"""What tells the decider at once, between two samples."""
