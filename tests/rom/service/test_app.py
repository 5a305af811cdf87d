"""What all routes share: keys, limits, names, health, metrics, the document."""

import re
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import Client

from infra.errors import StoreError, UserError
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.service.app import create_app
from rom.service.keys import KeyStore
from rom.service.limits import TokenBuckets
from rom.service.settings import ServiceSettings, is_loopback

MU = {"mu": {"height": 0.4, "power": 3.0}}
QUERY = "/api/models/spot/query"


def test_models_are_listed_with_units_bounds_and_lineage(client: Client) -> None:
    models = client.get("/api/models").json()["models"]
    assert [m["name"] for m in models] == ["moving", "spot"]
    assert models[1]["versions"] == [1, 2]
    card = models[0]["card"]
    assert card["parameters"][0] | {"description": ""} == {
        "name": "height", "unit": "m", "low": 0.2, "high": 0.8, "scale": "linear", "description": ""
    }  # fmt: skip
    assert card["lineage"] == {"dataset": "analytic"}


def test_a_model_describes_itself(client: Client, moving: ReducedModel) -> None:
    reply = client.get("/api/models/moving").json()
    assert reply["mesh"] == {"vertex": {"points": 49, "cells": 72, "dimension": 2}}
    assert reply["times"] == moving.times.tolist()
    assert len(reply["digest"]) == 64
    assert client.get("/api/models/spot/versions").json()["versions"] == [1, 2]
    assert client.get("/api/models/spot?version=1").json()["version"] == 1
    assert client.get("/api/models/none").status_code == 404


def test_meshes_are_sent_once(client: Client, moving: ReducedModel) -> None:
    space = moving.parts.space
    for part, expected in (("points", space.points["vertex"]), ("cells", space.cells["vertex"])):
        path = f"/api/models/moving/mesh/vertex/{part}"
        reply = client.get(path)
        np.testing.assert_array_equal(np.load(BytesIO(reply.content)), expected)
        again = client.get(path, headers={"if-none-match": reply.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        text = client.get(path, headers={"accept": "application/json"})
        np.testing.assert_array_equal(text.json(), expected)
    assert client.get("/api/models/moving/mesh/edge/points").status_code == 404


def test_a_new_version_is_used_and_a_damaged_one_is_refused(
    clients: Any, spot: ReducedModel, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.publish(spot)
    client = clients(models=registry, refresh=0.0)
    assert client.post(QUERY, json=MU).json()["version"] == 1
    registry.publish(spot)
    assert client.post(QUERY, json=MU).json()["version"] == 2
    registry.publish(spot)
    path = registry.folder("spot", 3) / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    reply = client.post(QUERY, json=MU)
    assert reply.status_code == 409
    assert reply.json()["error"]["type"] == "damaged_model"
    assert str(tmp_path) not in reply.text
    assert client.post(QUERY, json=MU | {"version": 2}).status_code == 200


def test_a_damaged_card_does_not_hide_other_models(
    clients: Any, spot: ReducedModel, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.publish(spot, "fine")
    registry.publish(spot, "torn")
    (registry.folder("torn") / "model.json").write_text("{")
    models = clients(models=registry).get("/api/models").json()["models"]
    assert [(m["name"], m["card"] is None, m["error"] is None) for m in models] == [
        ("fine", False, True),
        ("torn", True, False),
    ]


# --- keys


def headers(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def test_keys_open_what_their_scopes_say(clients: Any, key_file: Path) -> None:
    store = KeyStore(key_file)
    keys = {scope: store.add(scope, [scope])[1] for scope in ("query", "enrich", "admin")}
    client = clients(keys=store)
    assert client.get("/health/live").status_code == 200
    for path in ("/api/models", "/metrics", "/Info", "/v2/models/spot"):
        reply = client.get(path)
        assert (reply.status_code, reply.headers["www-authenticate"][:6]) == (401, "Bearer")
        assert client.get(path, headers=headers("rf_0_wrong")).status_code == 401
        assert client.get(path, headers=headers(keys["enrich"])).status_code == 403
        assert client.get(path, headers=headers(keys["admin"])).status_code == 200
    assert client.get("/metrics", headers=headers(keys["query"])).status_code == 403
    enrich = "/api/models/spot/enrich"
    assert client.post(enrich, json={}, headers=headers(keys["query"])).status_code in (403, 422)
    body = {"tolerance": 0.1, "budget": 1}
    assert client.post(enrich, json=body, headers=headers(keys["query"])).status_code == 403
    assert client.post(enrich, json=body, headers=headers(keys["enrich"])).status_code == 404


def test_a_key_is_sent_in_any_usual_way(clients: Any, key_file: Path) -> None:
    store = KeyStore(key_file)
    _, key = store.add("alice", ["query"])
    client = clients(keys=store)
    assert client.get("/api/models", headers={"Authorization": f"Bearer {key}"}).is_success
    assert client.get("/api/models", headers=headers(key)).is_success
    assert client.get("/api/models", auth=("anyone", key)).is_success
    for text in ("Bearer", "Basic ???", "Digest x", f"Bearer {key}x"):
        assert client.get("/api/models", headers={"Authorization": text}).status_code == 401


def test_a_revoked_key_opens_nothing(clients: Any, key_file: Path) -> None:
    store = KeyStore(key_file)
    record, key = store.add("alice", ["query"])
    _, other = store.add("bob", ["query"])
    client = clients(keys=store, refresh=0.0)
    assert client.get("/api/models", headers=headers(key)).status_code == 200
    KeyStore(key_file).revoke(record.id)  # another process
    assert client.get("/api/models", headers=headers(key)).status_code == 401
    assert client.get("/api/models", headers=headers(other)).status_code == 200
    key_file.write_text("{")
    assert client.get("/api/models", headers=headers(other)).status_code == 503


def test_keys_are_stored_as_salted_hashes_that_only_the_owner_reads(key_file: Path) -> None:
    store = KeyStore(key_file)
    keys = [store.add("alice", ["query", "admin"]) for _ in range(2)]
    text = key_file.read_text()
    for record, key in keys:
        assert key[-43:] not in text  # the secret; it may hold underscores
        assert KeyStore(key_file).records()
        assert store.find(key) == record
    assert keys[0][0].hash != keys[1][0].hash
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(store.revoke("alice")) == 2
    assert store.records() == ()
    assert store.find(keys[0][1]) is None


def test_bad_keys_and_scopes_are_refused_by_name(key_file: Path) -> None:
    store = KeyStore(key_file)
    for name, scopes in (("alice", ["root"]), ("alice", []), ("", ["query"])):
        with pytest.raises(UserError, match="Expected"):
            store.add(name, scopes)
    with pytest.raises(UserError, match="none"):
        store.revoke("nobody")
    key_file.parent.mkdir()
    key_file.write_text('{"format": 1, "keys": 3}')
    with pytest.raises(StoreError, match="file of keys"):
        store.records()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_an_open_address_needs_keys(registry: Registry, key_file: Path, host: str) -> None:
    settings = ServiceSettings(host=host)
    store = KeyStore(key_file)
    for keys in (None, store):
        with pytest.raises(UserError, match="romflow keys add"):
            create_app(registry, settings, keys)
    store.add("alice", ["query"])
    create_app(registry, settings, store)


def test_loopback_is_known() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.3.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "localhost.example.org", "")))


# --- limits


def test_large_bodies_are_cut(clients: Any) -> None:
    client = clients(body_limit=1000)
    text = {"content-type": "application/json"}
    reply = client.post(QUERY, content=b" " * 1001, headers=text)
    assert reply.status_code == 413
    assert reply.json()["error"]["expected"] == "a body of at most 1000 bytes"
    parts = (b" " * 100 for _ in range(100))  # without an announced length
    assert client.post(QUERY, content=parts, headers=text).status_code == 413
    assert client.post("/Evaluate", content=b" " * 1001, headers=text).json()["error"]["type"]
    assert client.post(QUERY, json=MU).status_code == 200
    zipped = client.post(QUERY, content=b"x", headers=text | {"content-encoding": "gzip"})
    assert zipped.status_code == 415


def test_too_many_requests_are_told_when_to_come_back(clients: Any, key_file: Path) -> None:
    store = KeyStore(key_file)
    keys = [store.add(name, ["query"])[1] for name in ("alice", "bob")]
    client = clients(keys=store, rate=0.01, burst=2)
    codes = [client.get("/api/models", headers=headers(keys[0])).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert int(client.get("/api/models", headers=headers(keys[0])).headers["retry-after"]) > 60
    assert client.get("/api/models", headers=headers(keys[1])).status_code == 200


def test_in_any_time_span_a_bucket_gives_burst_and_rate() -> None:
    now = [0.0]
    buckets = TokenBuckets(2.0, 3, lambda: now[0])
    given = 0
    for step in range(100):
        now[0] = step * 0.1
        given += sum(buckets.take("a") == 0.0 for _ in range(5))
        assert given <= 3 + 2.0 * now[0] + 1e-9
    assert given >= 3 + 2.0 * now[0] - 1
    assert buckets.take("b") == 0.0


def test_large_batches_and_answers_are_refused(clients: Any) -> None:
    client = clients(batch_limit=3, json_values_limit=200, values_limit=1000)
    many = {"mu": [[0.3, 2.0]] * 4}
    reply = client.post(QUERY, json=many)
    assert (reply.status_code, reply.json()["error"]["type"]) == (413, "too_many_queries")
    fields = {"mu": [[0.3, 2.0]] * 3, "select": {"kind": "fields", "names": ["flux"]}}
    assert client.post(QUERY, json=fields | {"mu": [[0.3, 2.0]] * 4}).status_code == 413
    assert client.post(QUERY, json=fields).status_code == 200
    fields["select"] = "fields"
    assert client.post(QUERY, json=fields).json()["error"]["type"] == "too_large_answer"
    arrow = {"accept": "application/vnd.apache.arrow.stream"}
    assert client.post(QUERY, json=fields, headers=arrow).is_success


def test_small_answers_that_need_much_memory_are_refused(clients: Any) -> None:
    client = clients(work_limit=60)
    probe = {"kind": "probes", "points": [[0.3, 0.3]]}
    asked = {"mu": [[0.3, 2.0]], "select": probe}
    assert client.post(QUERY, json=asked).status_code == 200
    for path in (QUERY, f"{QUERY}/gradient"):
        body = asked | {"mu": [[0.3, 2.0]] * 61}
        reply = client.post(path, json=body)
        assert (reply.status_code, reply.json()["error"]["type"]) == (413, "too_large_question")


def test_a_name_of_another_site_is_refused_where_there_are_no_keys(
    clients: Any, key_file: Path
) -> None:
    strange = {"host": "evil.example.org:8300"}
    assert clients().get("/api/models", headers=strange).status_code == 400
    assert clients(names=["evil.example.org"]).get("/api/models", headers=strange).is_success
    assert clients().get("/api/models", headers={"host": "localhost:8300"}).is_success
    assert clients().get("/api/models", headers={"host": "[::1]:8300"}).is_success
    store = KeyStore(key_file)
    _, key = store.add("alice", ["query"])
    assert clients(keys=store).get("/api/models", headers=strange | headers(key)).is_success


# --- health, metrics, document


def test_health_tells_whether_models_can_be_read(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_requests_queries_and_untrusted_answers_are_counted(clients: Any) -> None:
    client = clients(tolerance=1e9)
    client.post(QUERY, json={"mu": [[0.5, 3.0], [0.9, 3.0]]})
    client.post(QUERY, json={"mu": 3})
    client.get("/nothing/here")
    text = client.get("/metrics").text
    route = "/api/models/{name}/query"
    assert f'romflow_requests_total{{method="POST",route="{route}",status="200"}} 1.0' in text
    assert f'romflow_requests_total{{method="POST",route="{route}",status="422"}} 1.0' in text
    assert 'romflow_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'romflow_queries_total{model="spot"} 2.0' in text
    assert 'romflow_untrusted_answers_total{model="spot"} 1.0' in text
    assert "romflow_models_loaded 1.0" in text


def test_every_error_is_json(client: Client) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", QUERY, 405),
        ("DELETE", "/api/models", 405),
        ("GET", "/api/jobs/abc", 404),
        ("GET", "/api/models/spot?version=x", 422),
    ):
        reply = client.request(method, path)
        assert reply.status_code == status
        assert set(reply.json()["error"]) == {"type", "message", "expected", "received"}


def test_replies_carry_headers_that_keep_browsers_safe(client: Client) -> None:
    for path in ("/api/models", "/nothing", "/page/"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in client.get("/page/").headers["content-security-policy"]


def test_the_document_describes_all_routes_and_errors(client: Client) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            errors = [s for s in operation["responses"] if s >= "400"]
            assert {"401", "413", "422", "429"} <= set(errors), (path, method)
            for status in errors:
                content = operation["responses"][status]["content"]
                reference = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert reference.endswith("ErrorReply")
                assert reference in schemas
            assert operation["summary"]
    text = client.get("/openapi.json").text
    for reference in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert reference in schemas
