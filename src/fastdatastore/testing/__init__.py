"""What the project tests itself with, for others to use too."""
