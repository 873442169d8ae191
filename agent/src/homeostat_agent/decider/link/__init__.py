"""How the decider talks to the controller."""
