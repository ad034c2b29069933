"""Organizations and their settings, a module per area."""
