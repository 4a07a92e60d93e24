"""How the Glue Data Catalog describes a table's files, for each data format.

Source: AWS Glue API reference, StorageDescriptor and SerDeInfo; Athena user guide, "Parquet SerDe", "Hive JSON SerDe"
and "OpenX JSON SerDe". The last page says that results with the OpenX SerDe can have too many or too few rows, and
recommends Hive's. So the OpenX SerDe is used only where keys are not in lower case: for documents that Firehose writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Storage:
    """The classes that read and write a format. table_parameters: parameters of the table, not of its SerDe."""

    input_format: str
    output_format: str
    serde: str
    serde_parameters: Mapping[str, str]
    table_parameters: Mapping[str, str]


STORAGE = {
    "parquet": Storage(
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        {"serialization.format": "1"},
        {"EXTERNAL": "TRUE", "classification": "parquet"},
    ),
    "JSON": Storage(
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hive.hcatalog.data.JsonSerDe",
        {"serialization.format": "1"},
        {"EXTERNAL": "TRUE", "classification": "json"},
    ),
}
"""By data format, as tables declare it."""

RETENTION_DAYS = "datawarehouse.retention_days"
"""A parameter of the Glue table of each streaming and batch input table: after how many days its hours expire, or that
they never do. A table of hours is known by it."""

ERROR_DOCUMENTS = replace(STORAGE["JSON"], serde="org.openx.data.jsonserde.JsonSerDe")
"""The storage of records that Firehose could not convert: JSON with keys in any case."""
