"""One declaration gives the same tables, columns, types, partitions and paths on both hosts."""

import pytest
from declared import everything
from recorder import deploy

from datawarehouse import open_warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.folder import catalog_path

NOW_MS = 1_795_417_200_000  # 2026-11-23T07:00:00Z
HOUR = "2026/11/23/07"
ONLY_ON_AWS = {"sessions_staging", "clicks_error_docs", "impressions_error_docs"}
ONLY_EMBEDDED = {"job_runs", "query_history"}


class Standing:
    """A clock that stands."""

    def now_ms(self):
        return NOW_MS


@pytest.fixture(scope="module")
def cloud():
    graph = deploy(lambda: ServerlessDataWarehouse("every_kind", {"warehouse": everything()}) and None)
    return {node.inputs["name"]: node.inputs for node in graph.all("CatalogTable")}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with open_warehouse(everything(), folder, clock=Standing()) as warehouse:
        warehouse.put("clicks", [{"id": "1", "price": "1.5", "tags": ["a"]}, {"id": "2", "price": "dear"}])
        warehouse.put("impressions", [{"id": "1"}])
        warehouse.flush()
        yield warehouse, folder


def typed(columns):
    return {column["name"]: column["type"] for column in columns}


def test_the_same_tables_with_the_same_columns_and_partition_keys(embedded, cloud):
    _, folder = embedded
    catalog = Catalog(catalog_path(folder), writable=False)
    stored = {table.name: table for table in catalog.tables()}
    catalog.close()
    assert set(cloud) - {f"{name}_quarantine" for name in ("clicks", "impressions")} - ONLY_ON_AWS == set(stored)
    for name, table in stored.items():
        columns = {column.name: str(column.type) for column in table.columns[table.schema_version]}
        assert typed(cloud[name]["storageDescriptor"]["columns"]) == columns, name
        assert typed(cloud[name]["partitionKeys"]) == {key.name: str(key.type) for key in table.partition_keys}, name


def test_the_same_tables_answer_queries(embedded, cloud):
    warehouse, _ = embedded
    listed = {name for (name,) in warehouse.query("show tables")}
    assert listed - ONLY_EMBEDDED == set(cloud) - ONLY_ON_AWS


def test_quarantines_have_the_same_columns(embedded, cloud):
    warehouse, _ = embedded
    for table in ("clicks", "impressions"):
        described = warehouse.query(f"describe {table}_quarantine").dicts()
        columns = {row["col_name"]: row["data_type"] for row in described if row["data_type"]}
        assert typed(cloud[f"{table}_quarantine"]["storageDescriptor"]["columns"]) == columns


def test_files_lie_in_the_same_folders(embedded, cloud):
    _, folder = embedded
    lake = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    assert f"clicks/{HOUR}" in lake and f"impressions/{HOUR}" in lake
    for table in ("clicks", "impressions"):
        location = cloud[table]["storageDescriptor"]["location"]
        assert location.split("/", 3)[3] + HOUR in lake
    # Rejects: error documents there, below the kind of error; here Parquet files of their own.
    rejected = cloud["clicks_error_docs"]["storageDescriptor"]["location"].split("/", 3)[3]
    assert rejected == "errors/clicks/format-conversion-failed/" and f"errors/clicks/{HOUR}" in lake
