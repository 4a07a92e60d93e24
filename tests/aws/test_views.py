"""Views of a declaration as tables of the Glue catalog, and what the gateway makes of them."""

import base64
import json

import pytest
from functions_stack import HOUR, answer, given_partitions
from recorder import deploy
from test_gateway import ask, hour  # noqa: F401 - a fixture
from test_sql_jobs import CLICKS, TOTALS, run_statement  # noqa: F401 - a fixture

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.aws.glue_tables import view_of
from datawarehouse.aws.table_checks import readable_views
from datawarehouse.errors import DeclarationError
from datawarehouse.sql.views import schemas_of_warehouse

COLUMNS = {"id": "string", "n": "int", "at": "timestamp", "tags": "array<string>", "price": "decimal(9,2)"}
STATEMENT = "select id, n * 2 as doubled, at, tags, price, inserted_at from clicks"


def declared(**views):
    warehouse = Warehouse("shop").with_streaming_input_table("clicks", COLUMNS)
    for name, sql in views.items():
        warehouse.with_view(name, sql)
    return warehouse


def deployed(warehouse):
    graph = deploy(lambda: ServerlessDataWarehouse("shop", {"warehouse": warehouse}) and None)
    return {node.inputs["name"]: node.inputs for node in graph.all("CatalogTable")}


def test_a_view_is_one_of_the_glue_catalog_as_athena_writes_it():
    tables = deployed(declared(wide=STATEMENT, above="select id from wide"))
    view = tables["wide"]
    assert (view["tableType"], view["parameters"]["presto_view"]) == ("VIRTUAL_VIEW", "true")
    assert "partitionKeys" not in view and "location" not in view["storageDescriptor"]
    text = view["viewOriginalText"]
    assert text.startswith("/* Presto View: ") and text.endswith(" */")
    described = json.loads(base64.b64decode(text.split()[3], validate=True))
    assert (described["originalSql"], described["catalog"]) == (STATEMENT, "awsdatacatalog")
    assert described["schema"] == tables["clicks"]["databaseName"]
    assert {column["name"]: column["type"] for column in described["columns"]} == {
        "id": "varchar", "doubled": "integer", "at": "timestamp(3)", "tags": "array(varchar)", "price": "decimal(9,2)",
        "inserted_at": "varchar",
    }  # fmt: skip
    assert {column["name"]: column["type"] for column in view["storageDescriptor"]["columns"]} == {
        "id": "string", "doubled": "int", "at": "timestamp", "tags": "array<string>", "price": "decimal(9,2)",
        "inserted_at": "string",
    }  # fmt: skip
    assert tables["above"]["tableType"] == "VIRTUAL_VIEW"


def test_views_that_are_chained_are_those_of_a_declaration():
    def chained():
        shop = ServerlessDataWarehouse("shop", {"warehouse": declared(wide=STATEMENT)})
        assert shop.with_view("above", "select id from wide") is shop
        shop.with_streaming_input_table("orders", {"id": "string"}).with_view(name="o", sql="select id from orders")
        shop.with_batch_input_table(
            "copied", {"id": "string"}, schedule_expression="rate(1 day)", reads=["clicks"], sql="select id from above"
        )

    def at_once():
        given = declared(wide=STATEMENT, above="select id from wide").with_streaming_input_table(
            "orders", {"id": "string"}
        )
        given.with_view("o", "select id from orders").with_batch_input_table(
            "copied", {"id": "string"}, schedule_expression="rate(1 day)", reads=["clicks"], sql="select id from above"
        )
        ServerlessDataWarehouse("shop", {"warehouse": given})

    one_by_one, together = deploy(chained), deploy(at_once)
    assert {urn: node.inputs for urn, node in one_by_one.nodes.items()} == {
        urn: node.inputs for urn, node in together.nodes.items()
    }


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda shop: shop.with_view("b", "select id from orders"), "View 'b': .*TABLE_NOT_FOUND"),
        (lambda shop: shop.with_view("wide", "select 1 as a"), "already has a view 'wide'"),
        (lambda shop: shop.with_view("clicks", "select 1 as a"), "already has a streaming input table 'clicks'"),
        (lambda shop: shop.with_view("clicks_error_docs", "select 1 as a"), "already used on AWS"),
        (lambda shop: shop.with_table("wide", {"a": "int"}), "already has a view 'wide'"),
        (lambda shop: shop.with_streaming_input_table("o", {"id": "string"}), "name 'o_error_docs' is already used"),
    ],
)
def test_a_chained_view_that_cannot_be_is_refused_and_makes_nothing(declare, said):
    def program():
        shop = ServerlessDataWarehouse("shop", {"warehouse": declared(wide=STATEMENT, o_error_docs="select 1 as a")})
        with pytest.raises(DeclarationError, match=said):
            declare(shop)

    def without():
        ServerlessDataWarehouse("shop", {"warehouse": declared(wide=STATEMENT, o_error_docs="select 1 as a")})

    assert deploy(program).nodes.keys() == deploy(without).nodes.keys()


def test_a_job_may_read_the_views_of_what_it_reads_and_of_its_own_table():
    texts = {"a": "select id from clicks", "b": "select id from t", "c": "select id from t join a using (id)"}
    given = declared(**texts, d="select id from other", e="select id from a join d using (id)", f="select 1 as x")
    given.with_streaming_input_table("other", {"id": "string"}).with_batch_input_table(
        "t", {"id": "string"}, schedule_expression="rate(1 day)", reads=["clicks"], sql="select id from a"
    )
    assert readable_views(given.get_table("t"), given) == ["a", "b", "c", "f"]


def test_jobs_read_a_view_in_athena(stack, run_statement, run):  # noqa: F811
    """The names of a statement resolve in the Glue catalog, as they do on the embedded host."""
    stack.table("clicks", CLICKS, "JSON")
    stack.table("totals", TOTALS, "parquet")
    stack.table("other", {"n": "int"}, key=None)
    given = Warehouse("shop").with_streaming_input_table("clicks", CLICKS)
    given.with_view("positive", "select id, n, inserted_at from clicks where n > 0")
    create(stack, view_of(schemas_of_warehouse(given)["positive"]), stack.name)
    folder = f"clicks/{HOUR}/"
    lines = "".join(json.dumps({"id": "a", "n": n}) + "\n" for n in (-1, 2, 3))
    stack.s3.put_object(Bucket=stack.data, Key=f"{folder}events", Body=lines.encode())
    given_partitions(stack, [HOUR], f"s3://{stack.data}/{folder}")
    by_id = "select id, sum(n) as total, :time as at from positive where inserted_at = :partition group by id"
    run_statement("totals", TOTALS, by_id)
    assert answer(run, "other", "select id, total, inserted_at from totals") == [("a", 5, HOUR)]
    assert answer(run, "other", "select max(n) from positive") == [(3,)]


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ({"a": "select x.id from b x", "b": "select y.id from a y"}, "reads itself: a, b, a"),
        ({"clicks_error_docs": "select id from clicks"}, "already used on AWS"),
        ({"a": "select nothing from clicks"}, "COLUMN_NOT_FOUND"),
    ],
)
def test_a_view_that_cannot_be_is_refused_before_anything_is_made(views, said):
    with pytest.raises(DeclarationError, match=said):
        deployed(declared(**views))


def test_the_gateway_decides_by_what_a_view_makes_readable(ask, stack):  # noqa: F811
    texts = {"positive": "select id, n, inserted_at from clicks where n > 0", "hidden": "select id from clicks"}
    views = schemas_of_warehouse(declared(**texts))
    for name in texts:
        create(stack, view_of(views[name]), stack.name)
    create(stack, view_of(views["hidden"]), "other", "foreign")
    bounded = f"select id from positive where inserted_at = '{hour(1)}'"
    assert ask.answer(bounded)["decision"]["allowed"]
    for name in texts:
        kind, message = ask.error(f"select * from {name}", token="t" * 32)
        assert kind == "ScanRefused" and "nothing bounds inserted_at of clicks" in message
    kind, message = ask.error("select * from foreign")
    assert kind == "QueryRefused" and message.startswith("'foreign' is a view")


def create(stack, view, schema, name=""):
    made = view.view_arguments(view.view_text(schema))
    columns = [{"Name": each["name"], "Type": each["type"]} for each in made["storage_descriptor"]["columns"]]
    described = {
        "Name": name or made["name"],
        "TableType": made["table_type"],
        "Parameters": made["parameters"],
        "StorageDescriptor": {"Columns": columns},
        "ViewOriginalText": made["view_original_text"],
        "ViewExpandedText": made["view_expanded_text"],
    }
    stack.glue.create_table(DatabaseName=stack.name, TableInput=described)
