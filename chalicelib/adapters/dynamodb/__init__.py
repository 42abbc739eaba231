"""DynamoDB: three tables, one item shape, and the only place that spells keys."""
