"""One record by boto3, or by the AWS command, signed with a clock that is OFFSET_MS wrong, and changed on the way if
TAMPER is set; prints what came of it."""

import os
import sys
from datetime import UTC, datetime, timedelta

import botocore.auth
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

RECORD = {"StreamName": "clicks", "PartitionKey": "a"}
offset = timedelta(milliseconds=float(os.environ.get("OFFSET_MS", 0)))
botocore.auth.get_current_datetime = lambda **_: datetime.now(UTC).replace(tzinfo=None) + offset

if os.environ.get("TAMPER"):
    send = URLLib3Session.send

    def change_and_send(self, request):
        request.body = request.body.replace(b"clicks", b"Clicks")
        return send(self, request)

    URLLib3Session.send = change_and_send

if sys.argv[1] == "boto3":
    import boto3

    try:
        boto3.client("kinesis").put_record(Data=b'{"id":"signed"}', **RECORD)
        sys.stdout.write("taken")
    except ClientError as error:
        sys.stdout.write(error.response["Error"]["Code"])
else:
    from awscli.clidriver import main

    given = ["put-record", "--stream-name", "clicks", "--partition-key", "a", "--data", '{"id":"signed"}']
    sys.argv[1:] = ["kinesis", *given]
    sys.exit(main())
