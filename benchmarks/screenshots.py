"""Pictures of the dashboard for the docs; needs chromium.

    .venv/bin/python -m benchmarks.screenshots ROUTING FACTORING OUT [NAME ...]

serves copies of ROUTING and FACTORING, folders of `versus compare`, and writes OUT/NAME.png for every page of
docs/dashboard.md, or for the named ones. What a network constructs and what is under way is made on the served copy.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests.faults.servers import VERSUS, free_port, wait_for

SIZES = {"light": (1280, 1400), "dark": (1280, 1400), "phone": (390, 844)}
SECONDS = 30
LARGEST = 250_000
SHOWN = "X-n157-k13"
PAIR = {"a": "pyvrp", "b": "savings"}
MAPS = "section[aria-labelledby=solutions]"


class Site:
    """A served store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/v1", timeout=SECONDS)

    def get(self, path: str, **query: str) -> dict:
        """What a route answers."""
        return self.http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, document: dict) -> dict:
        """What a route answers to a document."""
        return self.http.post(path, json=document).raise_for_status().json()

    def compared(self) -> str:
        """The comparison that the folder held."""
        return self.get("/comparisons")["items"][-1]["id"]

    def instance(self, name: str) -> str:
        """The digest of a stored instance."""
        return next(one["digest"] for one in self.get("/instances", limit="200")["items"] if one["name"] == name)

    def generated(self, size: int, count: int) -> list[str]:
        """Digests of new uniform instances."""
        with tempfile.TemporaryDirectory() as folder:
            options = ["--size", str(size), "--count", str(count), "--seed", "1", "--out", folder]
            subprocess.run([VERSUS, "generate", "routing", "uniform", *options], check=True, capture_output=True)
            files = [("files", (file.name, file.read_bytes())) for file in sorted(Path(folder).iterdir())]
        answer = self.http.post("/instances", files=files).raise_for_status().json()
        return [one["digest"] for one in answer["items"]]

    def run_of(self, comparison: str, instance: str, solver: str) -> str:
        """The first run of a solver on an instance of a comparison."""
        runs = self.get(f"/comparisons/{comparison}/runs", instance=instance)["items"]
        return next(run["id"] for run in runs if run["solver"] == solver)

    def pointed(self) -> str:
        """A comparison of a pointer network with PyVRP, which has ended."""
        order = {"instances": self.generated(30, 3), "solvers": ["pyvrp", "pointer"], "budget": "1s"}
        made = self.post("/comparisons", {**order, "title": "30 customers: a network and a heuristic"})["id"]
        wait_for(lambda: self.get(f"/comparisons/{made}")["state"] == "finished", SECONDS)
        return made


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Site]:
    """A copy of the folder, served."""
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(folder, Path(place) / "data")
        port = free_port()
        server = subprocess.Popen(
            [VERSUS, "serve", "--data-dir", str(copy), "--port", str(port)], stderr=subprocess.DEVNULL
        )
        site = Site(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            if server.poll() is not None:
                raise RuntimeError(f"versus serve ended with {server.returncode}")
            with contextlib.suppress(httpx.TransportError):
                return site.http.get("/solvers").is_success
            return False

        try:
            wait_for(answers, SECONDS)
            yield site
        finally:
            server.terminate()
            server.wait(60)


def drawn(page: Page) -> None:
    """Wait until every figure and map of the page is drawn."""
    page.wait_for_load_state("networkidle")
    for box in page.locator(".plot[data-figure]").all():
        box.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.plot[data-figure]')].every(box => box.dataset.drawn === 'done')"
    )
    if page.locator("#replay").count():
        page.locator("#replay[data-ready=yes]").wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)


def picture(page: Page, file: Path, height: int | None = None, start: str | None = None) -> None:
    """The page from its top, or from above an element, so high; the window's height unless told."""
    size = page.viewport_size
    assert size is not None
    whole = page.evaluate("document.documentElement.scrollHeight")
    box = page.locator(start).first.bounding_box() if start else None
    top = max(0, round(box["y"] - 16)) if box else 0
    clip = {"x": 0, "y": top, "width": size["width"], "height": min(height or size["height"], whole - top)}
    page.screenshot(path=file, full_page=True, clip=clip)
    if shutil.which("oxipng"):
        subprocess.run(["oxipng", "-q", "-o4", "--strip", "safe", str(file)], check=True)
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} has {file.stat().st_size} bytes, more than {LARGEST}")
    print(file, file.stat().st_size)


class Pictures:
    """The pictures by name; ``-`` is ``_`` in the names of methods."""

    def __init__(self, browser: Browser, site: Site, out: Path) -> None:
        self.browser, self.site, self.out = browser, site, out

    def open(self, name: str, path: str) -> Page:
        """A page in the look that the picture's name ends with."""
        look = name.rpartition("-")[2]
        width, height = SIZES.get(look, SIZES["light"])
        page = self.browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if look == "dark" else "light"
        )
        page.set_default_timeout(SECONDS * 1000)
        page.goto(self.site.url + path)
        return page

    def take(self, name: str, path: str, height: int | None = None, start: str | None = None) -> None:
        """A picture of a finished page."""
        page = self.open(name, path)
        drawn(page)
        picture(page, self.out / f"{name}.png", height, start)
        page.close()

    def routing(self) -> dict[str, Callable[[str], None]]:
        """What is taken of the routing results, by name."""
        first = f"/comparisons/{self.site.compared()}"
        of_one = f"/instances/{self.site.instance(SHOWN)}?comparison={self.site.compared()}"
        sides = "&".join(f"{key}={value}" for key, value in PAIR.items())
        run = self.site.run_of(self.site.compared(), self.site.instance(SHOWN), "pyvrp")
        return {
            "comparison-light": lambda name: self.take(name, first, 1228),
            "comparison-dark": lambda name: self.take(name, first, 1750, "#ranking"),
            "comparison-phone": lambda name: self.take(name, first, 1640, "#verdict"),
            "instance-light": lambda name: self.take(name, f"{of_one}&{sides}", 1250, MAPS),
            "instance-overlay-dark": lambda name: self.take(name, f"{of_one}&{sides}&view=overlay", 1250, MAPS),
            "instance-phone": lambda name: self.take(name, f"{of_one}&{sides}", 1500, MAPS),
            "run-dark": lambda name: self.take(name, f"/runs/{run}", 1200),
            "new-comparison-light": lambda name: self.take(name, "/comparisons/new", 1378),
            "construction-light": self.construction,
            "solver-light": lambda name: self.take(name, "/solvers/pointer"),
            "comparison-live": self.live,
            "system-light": lambda name: self.take(name, "/system", 1000),
        }

    def factoring(self) -> dict[str, Callable[[str], None]]:
        """What is taken of the factoring results, by name."""
        return {"factoring-dark": lambda name: self.take(name, f"/comparisons/{self.site.compared()}")}

    def construction(self, name: str) -> None:
        """A network's construction, asked for by the page's button, half way."""
        made = self.site.pointed()
        instance = self.site.get(f"/comparisons/{made}/runs")["items"][0]["instance"]
        page = self.open(name, f"/runs/{self.site.run_of(made, instance, 'pointer')}/construction")
        page.get_by_role("button", name="Explain it").click()
        slider = page.get_by_label("Step of the construction")
        slider.wait_for()
        half = int(slider.get_attribute("max") or 0) // 2
        slider.evaluate("(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input')); }", half)
        page.get_by_text(re.compile(rf"Step {half + 1} of")).wait_for()
        picture(page, self.out / f"{name}.png", 1000)
        page.close()

    def live(self, name: str) -> None:
        """A comparison under way, when most of its runs have ended."""
        solvers = ["pyvrp", "ortools", "savings", "nearest"]
        order = {"instances": self.site.generated(50, 5), "solvers": solvers, "budget": "1s", "seeds": 2}
        made = self.site.post("/comparisons", {**order, "title": "50 customers, one second"})["id"]
        page = self.open(name, f"/comparisons/{made}")
        wait_for(lambda: len(self.ended(made)) >= 24, SECONDS)
        drawn(page)
        page.get_by_role("table").first.wait_for()
        picture(page, self.out / f"{name}.png")
        page.close()

    def ended(self, comparison: str) -> list[dict]:
        """The runs of a comparison that have ended."""
        runs = self.site.get(f"/comparisons/{comparison}/runs", limit="200")["items"]
        return [run for run in runs if run["state"] == "ended"]


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("routing", "factoring", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for problem in ("routing", "factoring"):
            with served(getattr(asked, problem)) as site:
                for name, take in getattr(Pictures(browser, site, asked.out), problem)().items():
                    if not asked.names or name in asked.names:
                        take(name)
        browser.close()


if __name__ == "__main__":
    main()
