"""The deployed warehouse, operated from the command line: `dw ... --on aws`.

`deployment` finds out where its parts are; `clients` makes boto3's clients for them. Importing this folder needs boto3.
"""

from datawarehouse.errors import MissingExtra

try:
    import boto3  # noqa: F401
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("boto3", "botocore"):
        raise
    raise MissingExtra(
        "--on aws needs boto3, which is not installed: pip install 'serverless-datawarehouse[kinesis]', or "
        "'.[kinesis]' in a clone of the repository."
    ) from None
