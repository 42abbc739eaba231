"""Pages: made on the server, without scripts."""
