"""What the decider reads of the endpoint at each period."""
