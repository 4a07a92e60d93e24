"""The console in a browser, on a warehouse with a year of hours and events that arrive meanwhile."""

import csv
import json
import re

import browsing
import living
import pytest
from browsing import PAGES, THOUSAND, visiting
from running import command, running, until

pytestmark = [pytest.mark.skipif(bool(browsing.missing()), reason=browsing.missing() or "-"), pytest.mark.timeout(400)]

MILLION = f"select x * 1000 + y as n, concat('row ', cast(y as varchar)) as t from {THOUSAND} a(x), {THOUSAND} b(y)"
ENDED = "select outcome from query_history where sql like '%z * w' and outcome = 'ended'"
EXACT = """select 9007199254740993 as n, cast('12345678901234567890.1230' as decimal(38, 4)) as d,
    cast(null as varchar) as t"""
HEAP_BYTES_MAX, NODES_MAX = 150e6, 5000


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("year")
    living.build(folder, simulated=12)
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in living.QUIET.items()]
    with running(folder, *settings, declaration="") as started, browsing.traffic(started):
        yield started


@pytest.fixture(scope="module")
def browser():
    with browsing.browsing() as opened:
        yield opened


@pytest.fixture
def visit(browser, warehouse):
    with visiting(browser, warehouse.url) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_by_mouse(browser, warehouse, scheme):
    """No request leaves this machine, and nothing is said in the browser's console (`visiting`)."""
    with visiting(browser, warehouse.url, color_scheme=scheme) as visit:
        visit.go()
        for label in PAGES:
            visit.open(label)
            assert visit.page.title() == f"{label} · acme_shop"
            assert not visit.faults(), label


def test_each_page_by_keyboard(visit):
    page = visit.go()
    for label, key in zip(PAGES, "ohtqsjc", strict=True):
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("g")
        page.keyboard.press(key)
        visit.until(f"document.title.startsWith('{label}')")
        visit.settled()
        if label == "SQL":
            page.locator(".cm-editor.cm-focused").wait_for()
            page.keyboard.press("Tab")  # out of the editor
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").get_by_text("Go to Quarantine").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_the_overview_shows_what_arrives(visit):
    page = visit.go()
    received = page.locator("tr[data-table=clicks] td:nth-of-type(3)")
    before = received.inner_text()
    visit.until(f"document.querySelector('tr[data-table=clicks]').cells[3].innerText !== '{before}'")
    page.get_by_text(re.compile("Job revenue failed")).first.wait_for()


def test_an_hour_is_chosen_with_the_keys_and_the_range_is_in_the_address(visit):
    page = visit.go("hours?table=impressions&days=366")
    page.get_by_role("button", name="Zoom in").click()
    visit.until("location.hash.includes('from=')")
    zoomed = page.url
    page.get_by_role("slider", name="Hour").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.get_by_role("link", name="Ask for its rows").click()
    visit.until("location.hash.startsWith('#/sql')")
    page.go_back()
    visit.settled()
    assert page.url.startswith(zoomed) and "hour=" in page.url
    assert page.get_by_role("button", name="Show all").is_enabled()


def test_a_table_has_its_columns_rows_files_and_events(visit):
    page = visit.go("table?table=clicks")
    page.get_by_role("row").filter(has_text="country").get_by_text("DE").first.wait_for()
    for tab, shown in {
        "Rows": "Ask for more in SQL",
        "Files": ".parquet",
        "Send and ask": "put_record",
        "Live tail": re.compile("^(good|bad)$"),
    }.items():
        page.get_by_role("tab", name=tab).click()
        page.locator("main :not(option)").get_by_text(shown).first.wait_for()
        assert not visit.faults(), tab
    page.get_by_label("Show").select_option("bad")
    page.locator("mark").first.wait_for()


def test_the_part_that_was_wrong_is_marked(visit):
    page = visit.go("quarantine?table=clicks")
    page.get_by_role("row").filter(has_text="position").get_by_role("button", name="Samples").click()
    page.locator("mark").first.wait_for()
    assert {'"third"', "1099511627776"} >= set(page.locator("mark").all_inner_texts())


def complete(page, name):
    """Choose a completion; asked for again until the editor knows what there is."""
    option = page.get_by_role("option", name=name).first

    def offered():
        page.keyboard.press("Control+Space")
        page.wait_for_timeout(300)
        return option.is_visible()

    until(offered, f"{name} is offered")
    option.click()


def test_a_statement_is_completed_estimated_run_drawn_and_exported(visit, tmp_path):
    page = visit.go("sql")
    editor = page.get_by_role("textbox", name="SQL statement")
    page.get_by_role("list", name="Tables").get_by_text("impressions", exact=True).wait_for()
    editor.press_sequentially("select country, count(*) as events from impr")
    complete(page, "impressions")
    page.keyboard.type("\ngroup by country order by coun")
    page.keyboard.press("Control+Space")
    offered = page.get_by_role("option").filter(has_text=re.compile("^count(function)?$"))
    offered.first.wait_for()
    assert offered.count() == 1
    page.keyboard.type("try")
    page.get_by_text(re.compile(r"Reads [\d,]+ hours in [\d,]+ files")).wait_for()
    visit.said.clear()  # of statements that were half written: the browser notes each answer of 4xx
    page.keyboard.press("Control+Enter")
    grid = page.get_by_role("grid")
    grid.wait_for()
    page.get_by_text("6 rows").wait_for()
    grid.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="events, row 2").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Chart").click()
    page.get_by_role("img", name="events by country, 6 points").wait_for()
    page.get_by_label("Look").select_option("line")
    page.reload()
    page.get_by_role("img", name="events by country, 6 points").wait_for()
    assert page.get_by_label("Look").input_value() == "line" and not visit.faults()
    for look in ("bars", "stacked"):
        page.get_by_label("Look").select_option(look)
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_role("img", name="events by country, 6 points").wait_for()
        assert page.get_by_label("Look").input_value() == look
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "all.csv")
    assert [row[0] for row in csv.reader((tmp_path / "all.csv").read_text().splitlines())] == [
        "country",
        "DE",
        "ES",
        "FR",
        "IT",
        "NL",
        "PL",
    ]
    page.get_by_role("tab", name="History").click()
    page.get_by_text(re.compile("6 rows · owner")).first.wait_for()


def test_an_error_is_marked_where_it_is(visit):
    page = visit.go("sql")
    visit.write("select country,\n  contry\nfrom impressions")
    page.locator(".cm-lintRange-error").wait_for()
    assert page.locator(".cm-lintRange-error").inner_text() == "contry"
    visit.said.clear()  # the browser notes each answer of 4xx


def test_numbers_are_shown_as_they_are(visit):
    page = visit.go("sql")
    visit.ask(EXACT)
    row = page.get_by_role("row").nth(1).get_by_role("gridcell")
    assert row.all_inner_texts() == ["9007199254740993", "12345678901234567890.1230", "NULL"]


def test_a_running_statement_can_be_ended(visit, warehouse):
    """How soon, `benchmarks/console.py` measures."""
    page = visit.go("sql")
    process = browsing.computing(warehouse, visit)
    page.get_by_text("Running:").wait_for()
    visit.cancel()
    page.get_by_text("The query was ended").wait_for()
    until(lambda: process not in browsing.working(warehouse), "the process that computes ends")
    assert warehouse.query(ENDED) == [{"outcome": "ended"}]


def test_who_asks_is_seen_and_ended_in_the_overview(browser, visit, warehouse):
    visit.go("sql")
    process = browsing.computing(warehouse, visit)
    with visiting(browser, warehouse.url) as other:
        running = other.go().get_by_role("region", name="Queries that run now").get_by_role("row", name="owner")
        running.get_by_text("x * y = z * w").wait_for()
        assert not other.faults()
        running.get_by_role("button", name="End").click()
        running.wait_for(state="detached")
    visit.page.get_by_text("The query was ended").wait_for()
    until(lambda: process not in browsing.working(warehouse), "the process that computes ends")


def test_a_million_rows_leave_the_window_small(visit):
    page = visit.go("sql")
    visit.ask(MILLION)
    page.get_by_text("1,000,000 rows").first.wait_for()
    grid = page.get_by_role("grid")
    grid.focus()
    page.keyboard.press("Control+End")
    page.get_by_role("gridcell", name="row 1000").last.wait_for()
    for share in (0.25, 0.5, 0.75):
        grid.evaluate("(grid, share) => { grid.scrollTop = grid.scrollHeight * share; }", share)
    page.keyboard.press("Control+Home")
    page.get_by_role("gridcell", name="1001", exact=True).wait_for()
    heap, nodes = page.evaluate("[performance.memory.usedJSHeapSize, document.querySelectorAll('*').length]")
    assert heap < HEAP_BYTES_MAX
    assert nodes < NODES_MAX


def test_a_narrow_window_needs_no_scrolling_sideways(browser, warehouse):
    with visiting(browser, warehouse.url) as visit:
        visit.page.set_viewport_size({"width": 400, "height": 800})
        visit.go()
        for label in PAGES:
            visit.open(label)
            assert visit.page.evaluate("document.documentElement.scrollWidth") == 400, label


def test_a_job_is_run_again_by_the_owner(visit, warehouse):
    page = visit.go("jobs")
    page.get_by_role("link", name="sign in").click()
    page.get_by_label("Name or id of the key").fill("owner")
    page.get_by_label("Secret").fill(browsing.owner_token(warehouse.folder))
    page.get_by_role("button", name="Sign in").click()
    visit.open("Jobs")
    page.get_by_role("button", name=re.compile("failed")).first.click()
    page.get_by_text("ValueError: the exchange rates of").first.wait_for()
    assert not visit.faults()
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("region", name="Tasks").get_by_text("run, ").first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="sign in").wait_for()


def test_with_keys_a_key_sees_what_it_may(browser, tmp_path):
    living.build(tmp_path, hours=2, simulated=2)
    made = json.loads(command(tmp_path, "keys", "create", "ana", "--may", "query:clicks", "--output", "json").stdout)
    with running(tmp_path, declaration="") as started, visiting(browser, started.url) as visit:
        page = visit.go()
        page.get_by_role("heading", name="Sign in").wait_for()
        assert not visit.faults()
        page.get_by_label("Name or id of the key").fill("ana")
        page.get_by_label("Secret").fill(made["secret"])
        page.get_by_role("button", name="Sign in").click()
        page.locator("tr[data-table=clicks]").wait_for()
        assert page.locator("tr[data-table=impressions]").count() == 0
