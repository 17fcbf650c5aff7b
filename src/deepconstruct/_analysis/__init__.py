"""Questions about networks that need their weights."""
