"""The code that runs inside AWS Lambda. It imports the standard library, boto3, `definition` and `errors`, and for
made-up events `generator`."""
