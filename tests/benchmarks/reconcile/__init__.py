"""What comparing very many customers costs."""
