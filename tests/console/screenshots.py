"""Pictures of each page of the console, light and dark, in a wide and in a narrow window: `make screenshots`.

`python tests/console/screenshots.py FOLDER`, of a warehouse with a year of hours and events that arrive meanwhile.
`make pictures` makes those of README.md (`--readme FOLDER`).
"""

import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / each) for each in ("", "console", "journey")]

import browsing  # noqa: E402
import living  # noqa: E402
from running import running  # noqa: E402

SQL = """select inserted_at, country, count(*) as events
from clicks
where inserted_at between '{first}' and '{last}'
group by 1, 2
order by 1, 2"""
WIDTHS = (1280, 400)
WAIT_S = 20  # of traffic, before the first picture
AS_WEBP = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const found = await canvas.convertToBlob({type: "image/webp", quality: 0.9});
  return btoa(Array.from(new Uint8Array(await found.arrayBuffer()), (each) => String.fromCharCode(each)).join(""));
}"""  # a third of the size, and still sharp
README = {"overview": 560, "hours": 720, "chart": 720}  # pages, and how tall their pictures are


def pages(visit) -> dict[str, str]:
    """The pages with what they show, by name."""
    hours = visit.page.evaluate("fetch('/v1/tables/clicks/hours').then(r => r.json()).then(found => found.hour)")
    sql = SQL.format(first=hours[-90], last=hours[-40])
    return {
        "overview": "overview",
        "hours": "hours?table=impressions&days=366",
        "table": "table?table=clicks",
        "tail": "table?table=clicks&view=tail",
        "quarantine": "quarantine?table=clicks",
        "sql": f"sql?sql={quote(sql)}",
        "chart": f"sql?view=chart&sql={quote(sql)}",
        "jobs": "jobs",
        "cost": "cost",
        "sign-in": "sign-in",
    }


def take(browser, warehouse, folder: Path, scheme: str, width: int) -> None:
    visit = browsing.Visit(browser, warehouse.url, color_scheme=scheme)
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.go()
    for name, address in pages(visit).items():
        show(visit, name, address)
        visit.page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=width > 400)
    visit.context.close()


def show(visit, name: str, address: str) -> None:
    """Open a page, and wait until it shows everything."""
    visit.go(address)
    if "sql=" in address:
        visit.page.get_by_role("button", name="Run", exact=True).click()
        visit.page.get_by_role("tab", name="Chart").wait_for()
        if name == "chart":
            visit.page.get_by_role("tab", name="Chart").click()
    visit.settled()
    visit.page.wait_for_timeout(1500)


def take_for_readme(browser, warehouse, folder: Path) -> None:
    visit = browsing.Visit(browser, warehouse.url)
    visit.go()
    for name, address in pages(visit).items():
        if name in README:
            visit.page.set_viewport_size({"width": 1280, "height": README[name]})
            show(visit, name, address)
            shot = base64.b64encode(visit.page.screenshot()).decode()
            visit.page.goto("about:blank")
            (folder / f"console-{name}.webp").write_bytes(base64.b64decode(visit.page.evaluate(AS_WEBP, shot)))
    visit.context.close()


def main(folder: Path, *, for_readme: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if missing := browsing.missing():
        sys.exit(missing)
    quiet = [f"--{name.replace('_', '-')}={value}" for name, value in living.QUIET.items()]
    with TemporaryDirectory() as name:
        living.build(Path(name))
        with (
            running(Path(name), *quiet, declaration="", fresh=True) as warehouse,
            browsing.traffic(warehouse, 2),
            browsing.browsing() as browser,
        ):
            waiting = browsing.Visit(browser, warehouse.url)
            waiting.go().wait_for_timeout(WAIT_S * 1000)
            waiting.context.close()
            if for_readme:
                take_for_readme(browser, warehouse, folder)
                return
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    take(browser, warehouse, folder, scheme, width)


if __name__ == "__main__":
    main(Path(sys.argv[-1]), for_readme="--readme" in sys.argv)
