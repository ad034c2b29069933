"""Certificates that the product gets by itself, from a service that speaks ACME."""
