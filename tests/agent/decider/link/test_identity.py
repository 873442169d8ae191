from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures_link import config_at
from fixtures_tls import Authority

from fakes.link_controller import Controller
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.identity import (
    IdentityError,
    endpoint_labels,
    identity_folder,
    inspect_certificate,
    load_identity,
    request_certificate,
    store_certificate,
    trusted_keys_file,
)


def test_before_enrolment_there_is_none(tmp_path: Path) -> None:
    config = config_at(tmp_path)
    assert load_identity(config) is None
    assert endpoint_labels(config, None) == {"role": "web", "group": "wanted"}


def test_after_it_there_is_one(config: AgentConfig, controller: Controller) -> None:
    identity = load_identity(config)
    assert identity is not None
    assert (identity.endpoint_id, identity.link_address) == ("ep-1", controller.link_address)
    assert identity.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert trusted_keys_file(config).exists()


def test_labels_that_the_controller_gave_stand_over_the_endpoints_own(config: AgentConfig) -> None:
    assert endpoint_labels(config, load_identity(config)) == {"role": "web", "group": "web"}


@pytest.mark.parametrize(
    ("name", "content"), [("key.pem", None), ("certificate.pem", None), ("endpoint.binpb", b"\xff")]
)
def test_a_damaged_one_is_an_error(config: AgentConfig, name: str, content: bytes | None) -> None:
    path = identity_folder(config) / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IdentityError, match="cannot be read"):
        load_identity(config)
    path.write_bytes(b"")
    if name == "endpoint.binpb":
        with pytest.raises(IdentityError, match="names no endpoint"):
            load_identity(config)


def test_the_key_is_worked_with_in_a_child(tmp_path: Path, authority: Authority) -> None:
    csr = request_certificate(tmp_path, "web-1")
    certificate = authority.endpoint(csr, "ep-1", days=2)
    validity = inspect_certificate(tmp_path, certificate, authority.pem)
    assert validity.uri.endswith("/ep-1")
    assert validity.not_after - datetime.now(UTC) > timedelta(days=1.9)
    store_certificate(tmp_path, certificate, authority.pem)
    assert (tmp_path / "certificate.pem").read_bytes() == certificate


def test_what_the_child_refuses_is_an_error(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(IdentityError, match="cannot be written"):
        request_certificate(tmp_path / "absent", "web-1")
    request_certificate(tmp_path, "web-1")
    with pytest.raises(IdentityError, match="cannot be read"):
        inspect_certificate(tmp_path, b"none", authority.pem)


def test_a_child_that_breaks_is_an_error(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(IdentityError, match=r"cannot be used: homeostat_agent\.identity_child ended with 2"):
        inspect_certificate(tmp_path, bytes(1 << 20), authority.pem)
