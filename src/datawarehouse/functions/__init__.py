"""What runs inside AWS Lambda, with the standard library, boto3, `definition`, `errors` and, for events, `generator`."""
