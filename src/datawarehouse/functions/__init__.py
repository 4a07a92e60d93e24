"""What runs inside AWS Lambda: standard library, boto3, `definition`, `errors`; for made-up events `generator`."""
