"""The limits of one query, defined only here; the settings of the same names say what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class QueryLimits:
    time_max_s: float
    memory_bytes_max: int
    threads: int
    result_rows_max: int
    verify_reads: bool = False

    @classmethod
    def of(cls, settings: Settings) -> QueryLimits:
        number = settings.number
        return cls(
            time_max_s=number("query_time_max_s"),
            memory_bytes_max=number("query_memory_bytes_max"),
            threads=number("query_threads"),
            result_rows_max=number("query_result_rows_max"),
            verify_reads=bool(settings["verify_reads"]),
        )
