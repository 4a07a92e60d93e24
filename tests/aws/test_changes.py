"""A declaration is compared with the tables that are deployed, and what would lose or hide data is refused by name."""

import copy
from dataclasses import replace

import graph as graphs
import pulumi_aws as aws
import pytest
from declared import COLUMNS, daily_sessions, everything
from engine import Engine, Provider
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.aws.changes import READABLE, DeployedTable, problems_of, settings_of
from datawarehouse.catalog.evolution import is_wider
from datawarehouse.definition.tables import checked_columns
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DeclarationError, DeploymentFailed, SchemaChangeRefused

CLICKS = COLUMNS | {"price": "double", "count": "int"}


def clicks(columns=None, **arguments):
    return Warehouse("shop").with_streaming_input_table("clicks", columns or CLICKS, **arguments)


def deployed(declared, before=None, *, preview=False, stack="dev", **arguments):
    program = lambda: ServerlessDataWarehouse("dw", {"warehouse": declared, **arguments}) and None  # noqa: E731
    return deploy(program, deployed=before, preview=preview, stack=stack)


@pytest.fixture(scope="module")
def before():
    return deployed(clicks(input_stream_shard_count=2, retention_days=90), stream_retention_hours=48)


def now(columns=None, **arguments):
    return clicks(columns, **{"input_stream_shard_count": 2, "retention_days": 90, **arguments})


def refusal(before, declared, **options):
    with pytest.raises(SchemaChangeRefused) as refused:
        deployed(declared, before, **{"stream_retention_hours": 48, **options})
    return str(refused.value)


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        (now(CLICKS | {"price": "string"}), ["column 'price' was double and is now string", "clicks.price"]),
        (now(CLICKS | {"count": "smallint"}), ["column 'count' was int and is now smallint", "clicks.count"]),
        (now(COLUMNS | {"price": "double"}), ["column 'count' (int) is no longer declared", "clicks.count"]),
        (now(partition_key_name="hour"), ["partition keys were 'inserted_at' (", "'hour'", "clicks.inserted_at"]),
        (now(retention_days=30), ["retention_days was 90 days and is now 30", "clicks.retention_days"]),
        (now(input_stream_shard_count=8), ["was 2 and is now 8", "deploy 4 first, and 8 after that"]),
    ],
    ids=["retyped", "narrowed", "dropped", "key", "retention", "shards"],
)  # fmt: skip
def test_a_change_that_loses_data_is_refused_before_anything_is_created(before, declared, parts, preview):
    said = refusal(before, declared, preview=preview)
    assert all(part in said for part in ["ServerlessDataWarehouse 'dw'", "'dw_dev'", "Table 'clicks': ", *parts]), said


def test_nothing_is_registered_but_the_component_when_a_change_is_refused(before, tmp_path):
    (tmp_path / "__main__.py").write_text(
        "from datawarehouse import Warehouse\n"
        "from datawarehouse.aws import ServerlessDataWarehouse\n"
        "declared = Warehouse('shop').with_streaming_input_table('clicks', {'id': 'int'})\n"
        "ServerlessDataWarehouse('dw', {'warehouse': declared})\n"
    )
    done = Engine(Provider(before)).run(tmp_path)
    assert done.code == 1 and done.graph.custom == []
    [(severity, text)] = done.log
    assert severity == "ERROR" and "\n" not in text
    for problem in ("column 'id' was string and is now int", "'price' (double) is no longer declared"):
        assert problem in text
    assert "give allow_data_loss=['clicks.id', 'clicks.session_id', 'clicks.event_time', 'clicks.price'" in text


@pytest.mark.parametrize(
    "columns",
    [CLICKS, CLICKS | {"more": "date"}, {"more": "date"} | CLICKS, CLICKS | {"count": "bigint"},
     dict(reversed(CLICKS.items()))],
    ids=["same", "added", "added in front", "widened", "in another order"],
)  # fmt: skip
def test_what_athena_reads_is_no_problem(before, columns):
    assert deployed(now(columns), before, stream_retention_hours=48).custom


def test_a_first_deployment_and_a_new_table_have_nothing_to_compare(before):
    both = now().with_table("facts", {"thing": "string"})
    assert deployed(both, before, stream_retention_hours=48).one("CatalogTable", "dw-facts")


@pytest.mark.parametrize("hours", [24, 47])
def test_a_stream_that_forgets_earlier(before, hours):
    said = refusal(before, now(), stream_retention_hours=hours)
    assert f"stream_retention_hours was 48 and is now {hours}" in said and "'clicks.stream_retention_hours'" in said
    assert deployed(now(), before, stream_retention_hours=168).custom


def test_a_retention_for_what_was_kept_for_ever():
    kept = deployed(clicks())
    assert "retention_days was not declared and is now 900 days" in refusal(kept, clicks(retention_days=900),
                                                                            stream_retention_hours=24)  # fmt: skip
    assert deployed(clicks(), deployed(clicks(retention_days=3))).custom


def test_a_shorter_retention_of_a_job():
    before = deployed(batch({"n": "int"}, retention_days=30))
    said = refusal(before, batch({"n": "int"}, retention_days=29), stream_retention_hours=24)
    assert "Table 'sums': retention_days was 30 days and is now 29 days" in said


@pytest.mark.parametrize(
    ("was", "is_now", "said"),
    [
        (5, 2, "deploy 3 first, and 2 after that"), (5, 3, ""), (5, 10, ""), (1, 2, ""), (2, 1, ""),
        (5, 11, "deploy 10 first, and 11 after that"), (1, 8, "deploy 2 first, and 4 after that"),
        (64, 4, "deploy 32 first, and 16 after that"),
    ],
)  # fmt: skip
def test_steps_of_shards(was, is_now, said):
    found = steps(was, is_now)
    assert [problem.subject for problem in found] == ([""] if said else [])
    assert not said or said in found[0].text


def steps(was, is_now):
    old, new = (clicks(input_stream_shard_count=count).get_table("clicks") for count in (was, is_now))
    before = DeployedTable(old.columns, old.partition_keys, "parquet", settings_of(old, False, 24))
    return problems_of(before, new, settings_of(new, False, 24))


def test_shards_and_on_demand_are_not_compared(before):
    on_demand = deployed(now(), before, on_demand_streams=["clicks"], stream_retention_hours=48)
    assert deployed(now(input_stream_shard_count=16), on_demand, stream_retention_hours=48).custom


def test_losses_can_be_allowed_by_name_and_others_stay_refused(before, caplog):
    without_both = now({name: kind for name, kind in CLICKS.items() if name not in ("price", "count")})
    said = refusal(before, without_both, allow_data_loss=["clicks.price"])
    assert "'count'" in said and "'price'" not in said and "allow_data_loss=['clicks.count']" in said
    allowed = ["clicks.price", "clicks.count"]
    assert deployed(without_both, before, allow_data_loss=allowed, stream_retention_hours=48).custom
    assert (
        "'price' (double) is no longer declared" in caplog.text and "allow_data_loss has 'clicks.price'" in caplog.text
    )


def test_shards_cannot_be_allowed(before):
    allowed = ["clicks.input_stream_shard_count", "clicks.shards"]
    said = refusal(before, now(input_stream_shard_count=5), allow_data_loss=allowed)
    assert "deploy 4 first" in said and "To do it all the same" not in said


def test_what_is_allowed_and_not_needed_is_told(before, caplog):
    deployed(now(), before, allow_data_loss=["clicks.price"], stream_retention_hours=48)
    assert "allow_data_loss has 'clicks.price', and no change needs it: take it out" in caplog.text


@pytest.mark.parametrize("given", ["clicks", "clicks.", "Clicks.price", "clicks.price.x", ""])
def test_what_cannot_be_allowed(given):
    with pytest.raises(DeclarationError, match="allow_data_loss"):
        deployed(now(), allow_data_loss=[given])


def test_disposable_data_is_lost_with_a_warning(before, caplog):
    graph = deployed(now(CLICKS | {"price": "string"}), before, is_dev=True, stream_retention_hours=24)
    assert graph.custom and "Data is disposable here" in caplog.text and "was double and is now string" in caplog.text
    assert "deploy 4 first" in refusal(before, now(input_stream_shard_count=5), is_dev=True)


def test_tables_that_are_added_one_by_one_are_compared_before_they_are_changed(before):
    def program():
        warehouse = ServerlessDataWarehouse("dw", {})
        warehouse.with_streaming_input_table("clicks", COLUMNS, retention_days=90)

    found = []
    with pytest.raises(SchemaChangeRefused, match=r"'price' .double. is no longer declared"):
        found.append(deploy(program, deployed=before))
    assert not found


def test_a_database_of_the_programs_own_is_compared(before):
    shared = deployed_in_a_database_of_its_own(now())
    with pytest.raises(SchemaChangeRefused, match=r"'shared'.* column 'price' was double and is now string"):
        deployed_in_a_database_of_its_own(now(CLICKS | {"price": "string"}), shared)


def deployed_in_a_database_of_its_own(declared, before=None):
    def program():
        database = aws.glue.CatalogDatabase("shared", name="shared")
        ServerlessDataWarehouse("dw", {"warehouse": declared, "database": database})

    return deploy(program, deployed=before)


def test_the_stream_of_a_table_that_is_compared_late_waits_for_it():
    graph = deployed_in_a_database_of_its_own(now())
    table, stream = graph.one("CatalogTable", "dw-clicks"), graph.one("Stream")
    # What a component has to wait for, its children wait for as well: they need its URN.
    assert table.urn in graph.parent(stream).dependencies
    at_once = deployed(now())
    assert at_once.parent(at_once.one("Stream")).dependencies == []


def test_a_catalog_that_cannot_be_read_is_no_table_that_is_missing(before, monkeypatch):
    def denied(*_):
        raise graphs.Missing("invoking: reading Glue Catalog Table: AccessDeniedException: not authorized")

    monkeypatch.setattr(graphs, "catalog_table_answer", denied)
    with pytest.raises(DeploymentFailed, match=r"'clicks' .* could not be read.* glue:GetTable .*AccessDenied"):
        deployed(now(), before)


def batch(columns, **arguments):
    return Warehouse("shop").with_batch_input_table("sums", columns, daily_sessions, "rate(1 day)", **arguments)


HOUR = {"hour": "string"}


@pytest.mark.parametrize(
    ("was", "is_now", "arguments", "problem"),
    [
        ({"n": "int"}, {"n": "bigint"}, {"partition_keys": HOUR}, ""),
        ({"n": "int"}, {"n": "bigint"}, {}, "was int and is now bigint, which nothing says that Athena can read"),
        ({"n": "int"}, {"n": "bigint"}, {"data_format": "JSON"}, ""),
        ({"a": "int", "b": "int"}, {"b": "int", "a": "int"}, {"data_format": "JSON"}, ""),
        ({"a": "int", "b": "int"}, {"a": "int", "c": "int", "b": "int"},
         {"data_format": "JSON", "partition_keys": HOUR}, "column 'b' was number 2 and is now number 3"),
        ({"a": "int"}, {"a": "int", "b": "int"}, {"data_format": "JSON", "partition_keys": HOUR}, ""),
        ({"a": "int", "b": "int"}, {"b": "int", "a": "int"}, {"partition_keys": HOUR}, ""),
    ],
)  # fmt: skip
def test_tables_of_jobs(was, is_now, arguments, problem):
    before = deployed(batch(was, **arguments))
    if problem:
        assert problem in refusal(before, batch(is_now, **arguments))
    else:
        assert deployed(batch(is_now, **arguments), before).custom


def test_another_format_for_the_files_that_are_there():
    said = refusal(deployed(batch({"n": "int"})), batch({"n": "int"}, data_format="JSON"))
    assert "data_format was 'parquet' and is now 'JSON'" in said and "'sums.data_format'" in said


def test_projected_hours_have_no_types_of_their_own():
    projected = {"partition_projection_start": "2026/11/01/00"}
    said = refusal(deployed(clicks(), **projected), clicks(CLICKS | {"count": "bigint"}), stream_retention_hours=24,
                   **projected)  # fmt: skip
    assert "column 'count' was int and is now bigint" in said


TYPES = [
    *("boolean tinyint smallint int bigint float double string binary date timestamp".split()),
    *("decimal(5,2)", "decimal(7,2)", "char(5)", "varchar(5)", "varchar(9)", "array<int>", "array<bigint>"),
    *("map<string,int>", "map<string,bigint>", "struct<a:int>", "struct<a:int,b:int>", "struct<b:int,a:int>"),
    "struct<a:bigint>",
]


@pytest.mark.parametrize("was", TYPES)
def test_every_pair_of_types(was):
    """What passes is in the table, or a struct with fields at its end; and the embedded host lets it pass as well."""
    table = clicks({"id": "string", "value": was}).get_table("clicks")
    before = DeployedTable(table.columns, table.partition_keys, "parquet", {})
    for is_now in TYPES:
        after = replace(table, columns=checked_columns("clicks", {"id": "string", "value": is_now}))
        passes = problems_of(before, after, {}) == []
        extended = (was, is_now) in {("struct<a:int>", "struct<a:int,b:int>")}
        assert passes is (was == is_now or (was, is_now) in READABLE or extended), (was, is_now)
        assert not passes or is_wider(parse_type(was), parse_type(is_now))


def test_columns_that_cannot_be_declared_are_compared_by_their_text(before):
    odd = copy.deepcopy(before)
    odd.one("CatalogTable", "dw-clicks").inputs["storageDescriptor"]["columns"][0]["type"] = "uniontype<int,string>"
    assert "column 'id' was uniontype<int,string> and is now string" in refusal(odd, now())


def test_tables_of_an_older_release_say_nothing_of_their_streams(before):
    older = copy.deepcopy(before)
    parameters = older.one("CatalogTable", "dw-clicks").inputs["parameters"]
    for name in [name for name in parameters if name.startswith("datawarehouse.")]:
        del parameters[name]
    assert deployed(now(input_stream_shard_count=64, retention_days=1), older).custom


@pytest.mark.parametrize(
    ("was", "is_now", "subject"),
    [
        ({}, {"day": "string"}, "day"), ({"day": "string"}, {}, "day"), ({"day": "string"}, {"day": "date"}, "day"),
        ({"a": "string", "b": "string"}, {"a": "string"}, "b"), ({"a": "string"}, {"a": "string", "b": "string"}, "b"),
        ({"a": "string", "b": "string"}, {"b": "string", "a": "string"}, "a"),
    ],
)  # fmt: skip
def test_partition_keys_of_tables_that_you_fill(was, is_now, subject):
    before = deployed(Warehouse("shop").with_table("prices", {"item": "string"}, was))
    after = Warehouse("shop").with_table("prices", {"item": "string"}, is_now)
    assert f"'prices.{subject}'" in refusal(before, after)
    assert deployed(after, before, allow_data_loss=[f"prices.{subject}"]).custom


def test_every_kind_of_table_is_as_it_was_deployed():
    before = deployed(everything())
    assert {node.name for node in deployed(everything(), before)} == {node.name for node in before}
