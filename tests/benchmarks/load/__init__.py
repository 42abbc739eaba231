"""The local stack under more load than it can serve, and back."""
