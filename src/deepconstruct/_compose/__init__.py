"""Networks and claims made of others."""
