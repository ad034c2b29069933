"""The settings of a project, a module per area."""
