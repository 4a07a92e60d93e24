"""The hours of the example, simulated by a process that may be killed at any moment and started again.

FOLDER/events/<quarter>-<table> has the events of each quarter of an hour, as lines. FOLDER/reached says which quarter
is being done; a process that is started goes on there, and sends it again under the same idempotency key.
"""

import sys
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "acme_ads"))

from warehouse import warehouse  # noqa: E402

from datawarehouse.testing import simulate  # noqa: E402
from datawarehouse.testing.clock import START  # noqa: E402

QUARTER = timedelta(minutes=15)


def go_on(folder: Path, hours: int, after_each_hour=lambda simulated, hour: None):
    """Simulate from the quarter that was reached to the end of the last hour; the warehouse is still open."""
    reached = folder / "reached"
    quarter = int(reached.read_text()) if reached.exists() else 0
    simulated = simulate(warehouse, folder / "data", start=START + quarter * QUARTER)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number in range(quarter, hours * 4):
        aside = reached.with_name("reached~")
        aside.write_text(str(number))
        aside.replace(reached)
        for table in ("impressions", "clicks"):
            events = (folder / "events" / f"{number}-{table}").read_bytes().splitlines()
            if events:
                simulated.put(table, events, idempotency_key=f"{number}-{table}")
        simulated.advance(START + (number + 1) * QUARTER - simulated.now)
        if number % 4 == 3:
            after_each_hour(simulated, number // 4)
    return simulated


def main(folder: str, hours: str) -> None:
    go_on(Path(folder), int(hours)).close()
