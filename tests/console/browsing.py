"""A browser that steers itself to a console and notes whatever it should not have to say."""

import json
import shutil
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import living
from running import until

from patience import patient

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
AXE = ROOT / ".venv" / "console" / "node_modules" / "axe-core" / "axe.min.js"
sys.path += map(str, (ROOT / ".venv" / "browser").glob("lib/python*/site-packages"))  # Playwright, which is large

THOUSAND = "unnest(sequence(1, 1000))"
LONG = f"select count(*) from {THOUSAND} a(x), {THOUSAND} b(y), {THOUSAND} c(z), {THOUSAND} d(w) where x * y = z * w"
"""A statement that computes for hours."""
TICKS = 30  # of a hundredth of a second, by which one sees that a process computes
PAGES = ("Overview", "Hours", "Table", "Quarantine", "SQL", "Jobs", "Cost")


def missing():
    """What a machine lacks for these tests, or an empty text."""
    if not CHROMIUM:
        return "this machine has no chromium (apt-get install chromium)"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "Playwright is not installed: make .venv/browser/.ready"
    return ""


@contextmanager
def browsing():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--enable-precise-memory-info"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A window of a browser at a console. said: what its console, its policy or a foreign request brought up."""

    def __init__(self, browser, url, **options):
        self.url = url
        self.said = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(patient(20) * 1000)
        self.page.on("console", lambda message: self.said.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", self._request)
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('policy', e.violatedDirective))"
        )

    def _request(self, request):
        host = urlsplit(request.url).hostname
        if not request.url.startswith(("blob:", "data:")) and host != "127.0.0.1":
            self.said.append(f"request: {request.url}")

    def go(self, address=""):
        """Open a page by its address, anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/#/{address}")
        self.page.wait_for_selector("h1")
        return self.page

    def open(self, label):
        """Open a page from the menu."""
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=label, exact=True).click()
        self.settled()

    def settled(self):
        """Wait until the page has what it shows."""
        self.until("!document.querySelector('main')?.innerText.includes('Loading…')")
        self.page.wait_for_selector("h1")

    def write(self, sql):
        """Put a statement into the editor."""
        self.page.get_by_role("textbox", name="SQL statement").fill(sql)

    def ask(self, sql):
        """Run a statement, and wait until it has ended."""
        self.write(sql)
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.until("/rows? in .*; read|The query was ended/.test(document.querySelector('main').innerText)")

    def cancel(self):
        """End the statement that runs."""
        self.page.get_by_role("button", name="Cancel").click()

    def until(self, condition):
        """Wait until an expression is true; Playwright's own way evaluates a text, which the page's policy forbids."""
        return until(lambda: self.page.evaluate(condition), condition)

    def faults(self):
        """What axe says of the page that is serious or worse: (rule, where)."""
        self.page.evaluate(AXE.read_text() + ";0")
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        bad = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        return [(each["id"], [node["target"] for node in each["nodes"]][:4]) for each in bad]


@contextmanager
def visiting(browser, url, **options):
    """A window that ends in an error if anything was said that should not be."""
    visit = Visit(browser, url, **options)
    try:
        yield visit
        assert not visit.said, visit.said
    finally:
        visit.context.close()


@contextmanager
def traffic(warehouse, count=20):
    """Events that arrive the whole time, some of them malformed: so many five times a second, and a third of that."""
    over, chance = threading.Event(), Random(1)

    def send():
        while not over.wait(0.2):
            for table, body in living.traffic(chance, count).items():
                warehouse.events(table, body, Content_Type="application/x-ndjson")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def working(warehouse):
    """The processor time that each process of queries has used, in ticks, by its pid; one that has ended is none."""
    found = {}
    for pid, name in warehouse.children().items():
        if name == "dw up: query":
            with suppress(OSError):
                found[pid] = ticks(pid)
    return found


def ticks(pid):
    """Raises OSError for a process that has ended, FileNotFoundError as soon as nothing is left of it."""
    state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[10]) + int(fields[11])


def computing(warehouse, visit):
    """Start `LONG`; the process that computes it."""
    idle = working(warehouse)
    visit.write(LONG)
    visit.page.get_by_role("button", name="Run", exact=True).click()

    def busy():
        return [pid for pid, used in working(warehouse).items() if used > idle.get(pid, 0) + TICKS]

    [pid] = until(busy, "a process computes")
    return pid


def owner_token(folder):
    """What signs in as `owner`."""
    return json.loads((folder / "data" / "_lock").read_text())["token"]
