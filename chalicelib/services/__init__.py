"""The use cases: one verb a module, plain functions over ports."""
