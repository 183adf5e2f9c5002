"""What to do: runbooks, and which of them fit an incident."""
