"""What the decider keeps on disk."""
