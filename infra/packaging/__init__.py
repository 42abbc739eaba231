"""Makes the project that `chalice deploy` and `chalice package` are run in: the whole Lambda package, ready to zip."""
