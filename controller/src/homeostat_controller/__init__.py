"""Governs a fleet: identities, policies, approvals, and what became of them."""
