"""What ibis does with a warehouse. Prints what held."""

import sys

import ibis

connection = ibis.trino.connect(
    user="ana", host="127.0.0.1", port=int(sys.argv[1]), database="awsdatacatalog", schema="shop"
)


def held(what):
    sys.stdout.write(f"{what}\n")


assert {"every", "orders"} <= set(connection.list_tables())
assert {"shop", "information_schema"} <= set(connection.list_databases())
assert "awsdatacatalog" in connection.list_catalogs()
held("lists catalogs, schemas and tables")

every = connection.table("every")
assert every.schema()["price"] == ibis.dtype("decimal(9, 4)") and every.schema()["tags"].is_array()
held("reads the schema of a table")

orders = connection.table("orders")
frame = (
    orders.filter(orders.amount > 15)
    .group_by("customer")
    .aggregate(n=ibis._.count(), total=ibis._.amount.sum())
    .order_by("customer")
    .execute()
)
assert frame.to_dict("list") == {"customer": ["c0", "c1", "c2"], "n": [30, 29, 30], "total": frame["total"].tolist()}
held("filter, group, order, to pandas")

assert every.filter(every.id == "full").select("n", "price", "tags").to_pyarrow().num_rows == 1
held("to Arrow")

joined = orders.join(orders.view(), "id").count().execute()
assert joined == 100
held("a join")
