"""What surrounds the application: its AWS resources, its command line, its local stack."""
