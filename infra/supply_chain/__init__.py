"""What is known of the packages that we run and build with: `make audit`. Not the audit log (infra/cli/audit.py)."""
