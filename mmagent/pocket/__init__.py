"""The pocket model's own: the small world that it is trained on, and what is trained on it."""
