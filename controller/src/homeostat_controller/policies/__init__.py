"""From an administrator's text to the signed policy that each endpoint gets."""
