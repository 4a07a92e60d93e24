"""20 requests at the same time, of 500 records each, and one record by itself; prints how many were taken."""

import asyncio
import json
import sys

from aiobotocore.session import get_session


async def main() -> None:
    async with get_session().create_client("kinesis") as kinesis:
        assert "clicks" in (await kinesis.list_streams())["StreamNames"]
        assert len((await kinesis.list_shards(StreamName="clicks"))["Shards"]) == 4

        async def put(batch: int) -> int:
            records = [
                {"Data": json.dumps({"id": "aiobotocore", "n": batch * 500 + n}).encode(), "PartitionKey": str(n)}
                for n in range(500)
            ]
            answer = await kinesis.put_records(StreamName="clicks", Records=records)
            return 500 - answer["FailedRecordCount"]

        taken = sum(await asyncio.gather(*map(put, range(20))))
        await kinesis.put_record(StreamName="clicks", Data=b'{"id":"aiobotocore","n":10000}', PartitionKey="a")
        sys.stdout.write(f"{taken + 1}\n")


asyncio.run(main())
