"""The page's files: only these, from here only, without scripts inside the document."""

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infra.errors import UserError
from rom.service.keys import KeyStore
from rom.service.page_files import CURVES, page_files

PAGE = Path(__file__).parents[3] / "rom" / "service" / "page"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, follow_redirects=False) as found:
        yield found


def test_the_root_leads_to_the_page(client: httpx.Client) -> None:
    reply = client.get("/", follow_redirects=True)
    assert reply.status_code == 200
    assert reply.url.path == "/page/"
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", sorted(page_files()))
def test_every_file_is_sent_compressed_once_and_typed(client: httpx.Client, name: str) -> None:
    reply = client.get(f"/page/{name}", headers={"Accept-Encoding": "gzip"})
    kind = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg"}
    assert reply.headers["content-type"].startswith(kind[Path(name).suffix])
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.content == page_files()[name].path.read_bytes()
    again = client.get(f"/page/{name}", headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_client_without_compression_gets_plain_bytes(client: httpx.Client) -> None:
    reply = client.get(f"/page/{CURVES}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in reply.headers
    assert len(gzip.compress(reply.content, 1)) < len(reply.content)


@pytest.mark.parametrize(
    "path", ["/page/none.js", "/page/..%2Fapp.py", "/page/%2e%2e/app.py", "/page/app.py"]
)
def test_nothing_else_is_sent(client: httpx.Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 404
    assert set(reply.json()["error"]) == {"type", "message", "expected", "received"}


def test_no_script_but_from_the_service_may_run(client: httpx.Client) -> None:
    policy = dict(
        part.strip().split(" ", 1)
        for part in client.get("/page/").headers["content-security-policy"].split(";")
    )
    scripts = policy.get("script-src", policy["default-src"])
    assert scripts == "'self'"
    assert policy["object-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"


def test_the_document_holds_no_script_style_or_foreign_address() -> None:
    for path in PAGE.iterdir():
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    index = (PAGE / "index.html").read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style", index)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", index) == [""]


def test_every_element_that_the_scripts_ask_for_is_there() -> None:
    ids = set(re.findall(r'\sid="([^"]+)"', (PAGE / "index.html").read_text()))
    asked = {
        name
        for path in PAGE.glob("*.js")
        for name in re.findall(r'byId\("([^"]+)"\)', path.read_text())
    }
    assert asked <= ids


def test_every_script_is_fetched_at_once_not_one_after_the_other() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', (PAGE / "index.html").read_text())
    assert sorted([*preloaded, "main.js"]) == sorted(path.name for path in PAGE.glob("*.js"))


def test_every_label_of_the_document_names_an_element() -> None:
    index = (PAGE / "index.html").read_text()
    ids = re.findall(r'\sid="([^"]+)"', index)
    assert len(ids) == len(set(ids))
    named = re.findall(r'(?:for|aria-labelledby)="([^"]+)"', index)
    assert set(named) <= set(ids)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rom.service.page_files.find_spec", lambda _: None)
    with pytest.raises(UserError, match="plotly"):
        page_files()


def test_files_stay_small() -> None:
    for path in PAGE.iterdir():
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_the_page_needs_no_key(serve: Callable[..., str], tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    keys.add("someone", ["query"])
    address = serve(keys)
    assert httpx.get(f"{address}/page/").status_code == 200
    assert httpx.get(f"{address}/api/models").status_code == 401
