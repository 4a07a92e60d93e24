"""Athena's API, over the registry of queries."""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.query.registry import QueryRegistry
from datawarehouse.server import aws_json
from datawarehouse.server.http import Request, Response


@dataclass(slots=True)
class Athena:
    registry: QueryRegistry

    async def handle(self, request: Request, body: bytes) -> Response:
        """Answer one call. Raises DataWarehouseError; see `aws_json.failure`."""
        return await aws_json.answered(request, body, {})
