"""What telling Stripe of a change costs."""
