"""Exception packs answered by people: an approval becomes a signed grant on its way to one endpoint."""
