"""How soon does the console show something, and how little does it keep, over a year of hours and with live traffic?

Method: `dw up` on a warehouse with 8,760 hours of one table (tests/console/living.py), with a hundred events a second,
Debian's Chromium steered by Playwright. (1) The console opened ten times, each in a window without a cache: the time
from the navigation to the rows of the overview in the DOM, as the page itself measures it. (2) GET
/v1/tables/impressions/hours over the whole year, 100 times over one connection. (3) A result of a million rows, looked
at from its beginning to its end: heap of JavaScript and elements of the DOM. (4) Cancel, ten times, on a statement that
computes for hours: from the click until the process that computes has ended, as the system says (/proc). The baseline
of (1) is GET /health by the same browser.
"""

import http.client
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from measuring import report, spread

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / each) for each in ("", "console", "journey")]

import browsing  # noqa: E402
import living  # noqa: E402
from running import running  # noqa: E402

TIMES, ASKED = 10, 100
ROWS = "tr[data-table]"
WATCH = """
new MutationObserver((_, watching) => {
  if (document.querySelector("tr[data-table]")) { window.shown = performance.now(); watching.disconnect(); }
}).observe(document, {childList: true, subtree: true});
"""
MILLION = "select x * 1000 + y as n, concat('row ', cast(y as varchar)) as t from {0} a(x), {0} b(y)"


def opened(browser, url: str) -> float:
    """Milliseconds until the overview's rows are there."""
    visit = browsing.Visit(browser, url)
    visit.page.add_init_script(WATCH)
    visit.page.goto(url)
    visit.page.wait_for_selector(ROWS)
    found = visit.page.evaluate("window.shown")
    visit.context.close()
    return found


def bare(browser, url: str) -> float:
    visit = browsing.Visit(browser, url)
    visit.page.goto(f"{url}/health")
    found = visit.page.evaluate("performance.getEntriesByType('navigation')[0].responseEnd")
    visit.context.close()
    return found


def hours(url: str) -> list[float]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    found = []
    now = time.gmtime()
    path = f"/v1/tables/impressions/hours?from={now.tm_year - 1}/{now.tm_mon:02d}/01/00&to={now.tm_year + 1}/01/01/00"
    for _ in range(ASKED):
        before = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        assert len(answer.read()) > 100_000 and answer.status == 200
        found.append((time.perf_counter() - before) * 1000)
    connection.close()
    return found


def million(browser, url: str) -> tuple[float, int]:
    """Bytes of heap and elements, with a result of a million rows that was looked at."""
    visit = browsing.Visit(browser, url)
    page = visit.go("sql")
    visit.ask(MILLION.format(browsing.THOUSAND))
    grid = page.get_by_role("grid")
    grid.focus()
    most = (0.0, 0)
    for share in (0, 0.25, 0.5, 0.75, 1):
        grid.evaluate("(grid, share) => { grid.scrollTop = grid.scrollHeight * share; }", share)
        page.wait_for_timeout(500)
        most = max(
            most, tuple(page.evaluate("[performance.memory.usedJSHeapSize, document.querySelectorAll('*').length]"))
        )
    visit.context.close()
    return most


def cancelled(browser, warehouse) -> float:
    """Milliseconds from Cancel until the process has ended."""
    visit = browsing.Visit(browser, warehouse.url)
    visit.go("sql")
    process = browsing.computing(warehouse, visit)
    began = time.perf_counter()
    visit.cancel()
    with suppress(OSError):
        while browsing.ticks(process):
            time.sleep(0.001)
    took = (time.perf_counter() - began) * 1000
    visit.context.close()
    return took


def main() -> None:
    if missing := browsing.missing():
        sys.exit(f"skipped: {missing}")
    quiet = [f"--{name.replace('_', '-')}={value}" for name, value in living.QUIET.items()]
    with tempfile.TemporaryDirectory() as name:
        living.build(Path(name))
        with (
            running(Path(name), *quiet, declaration="", fresh=True) as warehouse,
            browsing.traffic(warehouse),
            browsing.browsing() as browser,
        ):
            base = [bare(browser, warehouse.url) for _ in range(TIMES)]
            shown = [opened(browser, warehouse.url) for _ in range(TIMES)]
            asked = hours(warehouse.url)
            heap, nodes = million(browser, warehouse.url)
            ends = [cancelled(browser, warehouse) for _ in range(TIMES)]
    report(
        "the console, over a year of hours with live traffic",
        [
            ("rows of the overview in the DOM, ms, bar 500 (median)", spread(shown, "{:.0f}")),
            ("baseline: GET /health by the same browser, ms", spread(base, "{:.0f}")),
            ("a year of hours, ms", spread(asked, "{:.1f}")),
            ("  p95, bar 100", f"{statistics.quantiles(asked, n=20)[-1]:.1f}"),
            ("a million rows: heap of JavaScript, MB, bar 150", f"{heap / 1e6:.1f}"),
            ("  elements of the DOM, bar 5,000", f"{nodes:,}"),
            ("Cancel until the process that computes has ended, ms, bar 1000", spread(ends, "{:.0f}")),
        ],
    )


if __name__ == "__main__":
    main()
