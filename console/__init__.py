"""What people and programs see: the pages, the API and the intake of pushes."""
