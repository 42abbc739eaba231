"""Random worlds: what people, Stripe, the network and the machines may do, and what must hold whatever they do."""
