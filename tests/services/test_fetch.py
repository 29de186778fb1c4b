"""``fetch`` downloads what is published, keeps what is there, leaves nothing half done; on a local server."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instances.errors import InvalidInput
from instances.files import read_path
from services import fetch as module
from services.fetch import fetch

TSP = """NAME : tiny3
TYPE : TSP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 0
3 0 4
EOF
"""
TOUR = "NAME : tiny3.opt.tour\nTYPE : TOUR\nDIMENSION : 3\nTOUR_SECTION\n1\n2\n3\n-1\nEOF\n"
VRP = """NAME : {name}
TYPE : CVRP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 5
NODE_COORD_SECTION
1 0 0
2 3 0
3 0 4
DEMAND_SECTION
1 0
2 2
3 3
DEPOT_SECTION
1
-1
EOF
"""
SOL = "Route #1: 1 2\nCost 12\n"
SOLOMON = """C101

VEHICLE
NUMBER     CAPACITY
  25         200

CUSTOMER
CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE   TIME

    0      40         50          0          0       1236          0
    1      45         68         10        912        967         90
"""
# The page's layout in short: a set's own link, a link per instance, solutions under either of two addresses.
CVRP_PAGE = """<html><body><table>
<tr><td><a href="/cvrplib/en/download/instance-set/17" title="Set File">X</a></td></tr>
<tr><td><a href="/cvrplib/en/download/instance/901" title="Instance File">
    X-n3-k1
</a></td><td>$2$</td><td><a href="/cvrplib/en/download/bks/77" title="Solution File">$12$</a></td></tr>
<tr><td><a class="x" href="/cvrplib/en/download/instance/902"><b>X-n3-k2</b></a></td><td>none</td></tr>
<tr><td><a href="/cvrplib/en/download/instance/903">A-n3-k1</a></td>
<td><a href="/cvrplib/en/download/instanceSolution/903">12</a></td></tr>
<tr><td><a href="/cvrplib/en/download/instance/904">XL-n3-k1</a></td></tr>
</table></body></html>"""
VRPTW_PAGE = '<a href="/cvrplib/en/download/instance/380" title="Instance File">C101</a>'


@dataclass
class Site:
    """A local web site: what it serves, and the paths it was asked for."""

    files: dict[str, bytes]
    status: int = 200
    asked: list[str] = field(default_factory=list)
    cut_short: str = ""
    """A path whose last byte is promised but never sent."""
    url: str = ""

    @property
    def cvrplib(self) -> str:
        return f"{self.url}/cvrplib/en/"

    @property
    def tsplib(self) -> str:
        return f"{self.url}/tsp/"


@pytest.fixture
def site() -> Iterator[Site]:
    local = Site(
        {
            "/cvrplib/en/instances/1": CVRP_PAGE.encode(),
            "/cvrplib/en/instances/2": VRPTW_PAGE.encode(),
            "/cvrplib/en/download/instance/901": VRP.format(name="X-n3-k1").encode(),
            "/cvrplib/en/download/bks/77": SOL.encode(),
            "/cvrplib/en/download/instance/902": VRP.format(name="X-n3-k2").encode(),
            "/cvrplib/en/download/instance/903": VRP.format(name="A-n3-k1").encode(),
            "/cvrplib/en/download/instanceSolution/903": SOL.encode(),
            "/cvrplib/en/download/instance/380": SOLOMON.encode(),
            "/tsp/tiny3.tsp.gz": gzip.compress(TSP.encode()),
            "/tsp/tiny3.opt.tour.gz": gzip.compress(TOUR.encode()),
            "/tsp/lone3.tsp.gz": gzip.compress(TSP.encode()),
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            local.asked.append(self.path)
            content = local.files.get(self.path)
            self.send_response(404 if content is None else local.status)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: -1 if self.path == local.cut_short else None])

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        local.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield local
        server.shutdown()
        thread.join()


def left_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_an_instance_of_cvrplib_comes_with_its_solution(site, tmp_path):
    files = fetch("cvrplib:X-n3-k1", tmp_path / "new" / "folder", base_url=site.cvrplib)
    assert [file.name for file in files] == ["X-n3-k1.vrp", "X-n3-k1.sol"]
    assert files[0].read_text() == VRP.format(name="X-n3-k1")
    assert files[1].read_text() == SOL
    assert left_in(tmp_path / "new" / "folder") == ["X-n3-k1.sol", "X-n3-k1.vrp"]


def test_a_set_is_every_instance_of_that_name_and_no_other(site, tmp_path):
    """XL-n3-k1 is not in X, and X-n3-k2 has no solution."""
    files = fetch("cvrplib:X", tmp_path, base_url=site.cvrplib)
    assert [file.name for file in files] == ["X-n3-k1.vrp", "X-n3-k1.sol", "X-n3-k2.vrp"]


def test_solutions_are_found_under_their_other_address_too(site, tmp_path):
    files = fetch("cvrplib:A", tmp_path, base_url=site.cvrplib.rstrip("/"))
    assert [file.name for file in files] == ["A-n3-k1.vrp", "A-n3-k1.sol"]


@pytest.mark.parametrize("reference", ["cvrplib:C101", "cvrplib:Solomon"])
def test_instances_with_time_windows_are_on_the_second_page(site, tmp_path, reference):
    (file,) = fetch(reference, tmp_path, base_url=site.cvrplib)
    assert file.name == "C101.txt"
    (entry,) = read_path(file)
    assert entry.instance.time_windows[1].tolist() == [9120, 9670]


def test_an_instance_of_tsplib_is_decompressed_and_comes_with_its_optimal_tour(site, tmp_path):
    files = fetch("tsplib:tiny3", tmp_path, base_url=site.tsplib)
    assert [file.read_text() for file in files] == [TSP, TOUR]
    assert left_in(tmp_path) == ["tiny3.opt.tour", "tiny3.tsp"]


def test_a_missing_optimal_tour_is_no_error(site, tmp_path):
    assert [file.name for file in fetch("tsplib:lone3", tmp_path, base_url=site.tsplib)] == ["lone3.tsp"]


def test_what_is_there_already_is_kept(site, tmp_path):
    """An interrupted download of a set continues, and nobody's edited file is overwritten."""
    mine = VRP.format(name="mine")
    (tmp_path / "X-n3-k1.vrp").write_text(mine)
    (tmp_path / "X-n3-k1.sol").write_text(SOL)
    files = fetch("cvrplib:X", tmp_path, base_url=site.cvrplib)
    assert [file.name for file in files] == ["X-n3-k1.vrp", "X-n3-k1.sol", "X-n3-k2.vrp"]
    assert files[0].read_text() == mine
    assert site.asked == ["/cvrplib/en/instances/1", "/cvrplib/en/download/instance/902"]


def test_progress_names_each_file_and_where_it_came_from(site, tmp_path):
    told: list[str] = []
    fetch("cvrplib:X-n3-k1", tmp_path, base_url=site.cvrplib, on_progress=told.append)
    assert told == [
        f"{tmp_path / 'X-n3-k1.vrp'} from {site.cvrplib}download/instance/901",
        f"{tmp_path / 'X-n3-k1.sol'} from {site.cvrplib}download/bks/77",
    ]


@pytest.mark.parametrize(
    ("reference", "accepted"),
    [
        ("X-n3-k1", "cvrplib:NAME"),
        ("miplib:X", "cvrplib:NAME"),
        ("cvrplib:", "its sets are A, B"),
        ("cvrplib:Y", "its sets are A, B"),
        ("cvrplib:../X-n3-k1", "its sets are A, B"),
        ("cvrplib:X-n3-k1/../../passwd", "its sets are A, B"),
        ("cvrplib:X-n3-k1\n", "its sets are A, B"),
        ("tsplib:", "as berlin52"),
        ("tsplib:../berlin52", "as berlin52"),
        ("tsplib:a/b52", "as berlin52"),
    ],
)
def test_an_unknown_reference_is_refused_before_anything_is_asked(site, tmp_path, reference, accepted):
    with pytest.raises(InvalidInput, match=accepted) as caught:
        fetch(reference, tmp_path / "out", base_url=site.cvrplib)
    assert caught.value.where == reference
    assert site.asked == []
    assert not (tmp_path / "out").exists()


def test_an_instance_that_the_site_does_not_list_is_refused(site, tmp_path):
    with pytest.raises(InvalidInput, match=r"is not on the list at http://.*/instances/1"):
        fetch("cvrplib:X-n99-k9", tmp_path, base_url=site.cvrplib)


@pytest.mark.parametrize("reference", ["tsplib:none9", "cvrplib:XL"])
def test_a_file_that_the_site_does_not_have_is_refused(site, tmp_path, reference):
    with pytest.raises(InvalidInput, match="there is no such file on the site"):
        fetch(reference, tmp_path, base_url=site.tsplib if "tsplib" in reference else site.cvrplib)
    assert left_in(tmp_path) == []


def test_an_error_of_the_site_is_told(site, tmp_path):
    site.status = 503
    with pytest.raises(InvalidInput, match="answers 503 Service Unavailable"):
        fetch("tsplib:tiny3", tmp_path, base_url=site.tsplib)


def test_no_network_is_told(tmp_path):
    """Port 1 of this machine: nobody listens there."""
    with pytest.raises(InvalidInput, match=r"the site cannot be reached: .*refused"):
        fetch("tsplib:tiny3", tmp_path, base_url="http://127.0.0.1:1/")


def test_a_page_that_is_no_instance_is_refused_and_not_kept(site, tmp_path):
    site.files["/cvrplib/en/download/instance/901"] = b"<html>Sorry, maintenance</html>"
    with pytest.raises(InvalidInput, match="is no instance that can be read") as caught:
        fetch("cvrplib:X-n3-k1", tmp_path, base_url=site.cvrplib)
    assert caught.value.where == f"{site.cvrplib}download/instance/901"
    assert left_in(tmp_path) == []


def test_a_solution_that_cannot_be_read_is_left_out_and_told(site, tmp_path):
    site.files["/cvrplib/en/download/bks/77"] = b"<html>Sorry, maintenance</html>"
    told: list[str] = []
    files = fetch("cvrplib:X-n3-k1", tmp_path, base_url=site.cvrplib, on_progress=told.append)
    assert [file.name for file in files] == ["X-n3-k1.vrp"] == left_in(tmp_path)
    assert told[-1].startswith(f"no solution from {site.cvrplib}download/bks/77: ")


def test_a_download_that_breaks_off_is_refused_and_not_kept(site, tmp_path):
    """What arrived would read as an instance; only the promised length tells."""
    site.cut_short = "/cvrplib/en/download/instance/380"
    with pytest.raises(InvalidInput, match="broke off"):
        fetch("cvrplib:C101", tmp_path, base_url=site.cvrplib)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [(gzip.compress(TSP.encode())[:-9], "not a whole gzip file"), (b"TSP", "not a gzip file")],
)
def test_a_damaged_gzip_file_is_refused(site, tmp_path, content, problem):
    site.files["/tsp/tiny3.tsp.gz"] = content
    with pytest.raises(InvalidInput, match=problem):
        fetch("tsplib:tiny3", tmp_path, base_url=site.tsplib)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "content", [gzip.compress(TSP.encode() + b" " * 10**5), bytes(10**5)], ids=["decompressed", "as sent"]
)
def test_a_file_above_the_limit_is_refused_before_and_after_decompression(site, tmp_path, content, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10**4)
    site.files["/tsp/tiny3.tsp.gz"] = content
    with pytest.raises(InvalidInput, match="larger than accepted"):
        fetch("tsplib:tiny3", tmp_path, base_url=site.tsplib)
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_told(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written to"):
        fetch("tsplib:tiny3", tmp_path / "file", base_url=site.tsplib)
