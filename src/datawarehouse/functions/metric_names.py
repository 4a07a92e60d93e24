"""The names of the metrics that the functions publish; alarms are on them."""

NAMESPACE = "DataWarehouse"
LATE_OBJECTS = "LateObjects"
"""Objects that were delivered into an hour after it was compacted."""
REJECTED_RECORDS = "RejectedRecords"
"""Records that were rejected on their way to an Iceberg table; by the name of the function that converts them."""
LATE_HOURS = "LateHours"
"""Hours that got rows after a job had run for them."""
