"""Files that others have published, as they are: their types equal a list made by hand, and their rows are stored."""

import json
from pathlib import Path

import pytest
from running import command, running

FILES = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / "vega-datasets" / "data"

BY_HAND = {
    # an array; spaces in keys; dates such as "Jun 12 1998"; a title that is a number
    "movies.json": {
        "title": "string", "us_gross": ("bigint", "US Gross"), "worldwide_gross": ("bigint", "Worldwide Gross"),
        "us_dvd_sales": ("bigint", "US DVD Sales"), "production_budget": ("bigint", "Production Budget"),
        "release_date": ("string", "Release Date"), "mpaa_rating": ("string", "MPAA Rating"),
        "running_time_min": ("bigint", "Running Time min"), "distributor": "string", "source": "string",
        "major_genre": ("string", "Major Genre"), "creative_type": ("string", "Creative Type"), "director": "string",
        "rotten_tomatoes_rating": ("bigint", "Rotten Tomatoes Rating"), "imdb_rating": ("double", "IMDB Rating"),
        "imdb_votes": ("bigint", "IMDB Votes"),
    },
    # spaces and brackets in keys; NULLs; whole and other numbers
    "penguins.json": {
        "species": "string", "island": "string", "beak_length_mm": ("double", "Beak Length (mm)"),
        "beak_depth_mm": ("double", "Beak Depth (mm)"), "flipper_length_mm": ("bigint", "Flipper Length (mm)"),
        "body_mass_g": ("bigint", "Body Mass (g)"), "sex": "string",
    },
    "us-state-capitals.json": {"lon": "double", "lat": "double", "state": "string", "city": "string"},
    "monarchs.json": {
        "name": "string", "start": "bigint", "end": "bigint", "index": "bigint", "commonwealth": "boolean",
    },
    # one event, with structs in arrays
    "miserables.json": {
        "nodes": "array<struct<name:string,group:bigint,index:bigint>>",
        "links": "array<struct<source:bigint,target:bigint,value:bigint>>",
    },
    # CSV with spaces, a dollar sign in a key, and dates
    "birdstrikes.csv": {
        "airport_name": ("string", "Airport Name"), "aircraft_make_model": ("string", "Aircraft Make Model"),
        "effect_amount_of_damage": ("string", "Effect Amount of damage"), "flight_date": ("date", "Flight Date"),
        "aircraft_airline_operator": ("string", "Aircraft Airline Operator"),
        "origin_state": ("string", "Origin State"), "phase_of_flight": ("string", "Phase of flight"),
        "wildlife_size": ("string", "Wildlife Size"), "wildlife_species": ("string", "Wildlife Species"),
        "time_of_day": ("string", "Time of day"), "cost_other": ("bigint", "Cost Other"),
        "cost_repair": ("bigint", "Cost Repair"), "cost_total": ("bigint", "Cost Total $"),
        "speed_ias_in_knots": ("bigint", "Speed IAS in knots"),
    },
    "seattle-weather.csv": {
        "date": "date", "precipitation": "double", "temp_max": "double", "temp_min": "double", "wind": "double",
        "weather": "string",
    },
    "stocks.csv": {"symbol": "string", "date": "string", "price": "double"},  # Jan 1 2000
    "github.csv": {"time": "string", "count": "bigint"},  # 2015/01/01 01:00:00
    "zipcodes.csv": {
        "zip_code": "string", "latitude": "double", "longitude": "double", "city": "string", "state": "string",
        "county": "string",
    },
    "unemployment.tsv": {"id": "bigint", "rate": "string"},  # .097, which is no number of JSON
}  # fmt: skip
needs_files = pytest.mark.skipif(
    not FILES.exists(), reason="this machine has no npm, with which `make test` installs requirements/node"
)


def declared(folder):
    found = {}
    exec((folder / "warehouse.py").read_text(), found)
    return {
        table.name: {c.name: str(c.type) if c.key is None else (str(c.type), c.key) for c in table.columns}
        for table in found["warehouse"].tables()
    }


def in_lower_case(columns):
    return {name: kind if isinstance(kind, str) else (kind[0], kind[1].lower()) for name, kind in columns.items()}


@needs_files
def test_public_files_become_tables_with_their_rows(tmp_path):
    tables = {name: name.split(".")[0].replace("-", "_") for name in BY_HAND}
    lines = tmp_path / "films_as_lines.ndjson"
    lines.write_text("".join(json.dumps(film) + "\n" for film in json.loads((FILES / "movies.json").read_text())))
    paths = [*(str(FILES / name) for name in BY_HAND), str(lines)]
    done = command(tmp_path, "init", "p", "--from", *paths)
    assert done.returncode == 0, done.stderr
    by_hand = {tables[name]: in_lower_case(columns) for name, columns in BY_HAND.items()}
    by_hand["films_as_lines"] = by_hand["movies"]
    assert declared(tmp_path / "p") == by_hand
    events = 0
    with running(tmp_path / "p", declaration=None) as warehouse:
        for path in paths:
            table = tables.get(Path(path).name, "films_as_lines")
            sent = json.loads(warehouse.dw("send", table, path, "--output", "json").stdout)
            assert sent["stored"] >= 0.99 * sent["accepted"] > 0, (path, sent)
            assert warehouse.query(f"select count(*) as n from {table}") == [{"n": sent["stored"]}]
            events += sent["accepted"]
    assert events > 50_000
