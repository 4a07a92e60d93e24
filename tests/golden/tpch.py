"""The 22 queries of TPC-H (tpch.sql), in a real Trino and here, on the data of Trino's generator.

`python tests/golden/tpch.py SCALE` makes the data in a temporary folder (1.1 GB at scale 1), asks both, says of each
query whether the rows are the same, and keeps Trino's rows in tpch_SCALE.jsonl.gz, if there are none; with rows kept,
it compares Trino's with these too. Needs a JDK from 17 on and Maven.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from golden_answers import Warehouse, difference, shown
from real_trino import encoded, java, missing, recorded, running

HERE = Path(__file__).parent
COLUMNS = {
    "customer": "c_custkey:bigint c_name:string c_address:string c_nationkey:bigint c_phone:string "
    "c_acctbal:decimal(12,2) c_mktsegment:string c_comment:string",
    "lineitem": "l_orderkey:bigint l_partkey:bigint l_suppkey:bigint l_linenumber:int l_quantity:decimal(12,2) "
    "l_extendedprice:decimal(12,2) l_discount:decimal(12,2) l_tax:decimal(12,2) l_returnflag:string "
    "l_linestatus:string l_shipdate:date l_commitdate:date l_receiptdate:date l_shipinstruct:string "
    "l_shipmode:string l_comment:string",
    "nation": "n_nationkey:bigint n_name:string n_regionkey:bigint n_comment:string",
    "orders": "o_orderkey:bigint o_custkey:bigint o_orderstatus:string o_totalprice:decimal(12,2) o_orderdate:date "
    "o_orderpriority:string o_clerk:string o_shippriority:int o_comment:string",
    "part": "p_partkey:bigint p_name:string p_mfgr:string p_brand:string p_type:string p_size:int p_container:string "
    "p_retailprice:decimal(12,2) p_comment:string",
    "partsupp": "ps_partkey:bigint ps_suppkey:bigint ps_availqty:int ps_supplycost:decimal(12,2) ps_comment:string",
    "region": "r_regionkey:bigint r_name:string r_comment:string",
    "supplier": "s_suppkey:bigint s_name:string s_address:string s_nationkey:bigint s_phone:string "
    "s_acctbal:decimal(12,2) s_comment:string",
}
SCHEMAS = {"0.01": "tiny", "1": "sf1"}


def queries() -> list[str]:
    text = re.sub(r"(?m)^--.*\n", "", (HERE / "tpch.sql").read_text())
    return [query.strip() for query in text.split(";") if query.strip()]


def trinos(scale: str) -> list[dict[str, Any]]:
    """Trino's rows for each query."""
    found = []
    with running("tpch", SCHEMAS[scale]) as trino:
        for query in queries():
            began = time.monotonic()
            answer = trino.ask(query)
            if "error" in answer:
                raise RuntimeError(f"{query}\n{answer['error']}")
            print(f"Trino, query {len(found) + 1}: {time.monotonic() - began:.1f} s", flush=True)
            found.append({"sql": query, **answer})
    return found


def main(scale: str) -> str:
    if scale not in SCHEMAS:
        return f"There are the scales {' and '.join(SCHEMAS)}; got {scale!r}."
    if lacks := missing():
        return f"Trino cannot be asked here: {lacks} is missing; a JDK from 17 on and Maven are needed."
    kept, answers = HERE / f"tpch_{scale}.jsonl.gz", trinos(scale)
    if not kept.exists():
        kept.write_bytes(encoded(iter(answers)))
    changed = [line["sql"] for line, before in zip(answers, recorded(kept), strict=True) if line != before]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(java("write", scale, folder), check=True)
        warehouse = Warehouse([])
        for name, columns in COLUMNS.items():
            warehouse.load(name, columns, Path(folder) / f"{name}.tbl")
        different = compared(warehouse, answers)
    for query in changed:
        print(f"Trino's own rows are others than those of {kept.name}:\n{query}")
    return "\n".join(different) or ("Trino has changed" if changed else "")


def compared(warehouse: Warehouse, answers: list[dict[str, Any]]) -> list[str]:
    found = []
    for number, line in enumerate(answers, 1):
        began = time.monotonic()
        ours = warehouse.ask(line["sql"])
        kind = difference(line, ours, ordered=True)
        print(
            f"query {number}: {kind or 'equal'}, {len(line['rows'])} rows, {time.monotonic() - began:.1f} s", flush=True
        )
        if kind:
            found.append(shown(line["sql"], kind, line, ours))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) or 0)
