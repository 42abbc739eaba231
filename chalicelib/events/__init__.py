"""What SQS and the schedules start: thin handlers around services."""
