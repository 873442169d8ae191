"""Everything that speaks with agents: their identities, their sessions, and what they report."""
