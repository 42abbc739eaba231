"""HTTP: one blueprint for each noun, and the shell that all of them share."""
