"""One module per noun of the API; `routes` imports them all to fill the route table."""
