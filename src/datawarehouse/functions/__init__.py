"""What runs inside AWS Lambda: Python 3.13 with boto3, this package's `definition` and `errors`, nothing else."""
