"""Who signs, and where requests go."""
