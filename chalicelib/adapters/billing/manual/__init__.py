"""Billing without a payment processor: customers are invoiced by hand, and this keeps what was agreed."""
