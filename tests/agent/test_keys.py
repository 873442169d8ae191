import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fixtures_tls import Authority, pem_of_key, request_of

from homeostat_agent.keys import CHAIN_MAX, KeyProblem, certificate_request, inspect

AUTHORITY = Authority()
OTHER = Authority("another")


def test_the_key_is_made_once_on_p256_for_its_owner_only(tmp_path: Path) -> None:
    first = x509.load_der_x509_csr(certificate_request(tmp_path, "web-1"))
    second = x509.load_der_x509_csr(certificate_request(tmp_path, "web-1"))
    assert first.public_key() == second.public_key()
    assert first.is_signature_valid
    assert first.subject.rfc4514_string() == "CN=web-1"
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_a_long_name_is_cut_to_what_a_certificate_can_have(tmp_path: Path) -> None:
    csr = x509.load_der_x509_csr(certificate_request(tmp_path, "x" * 300))
    assert csr.subject.rfc4514_string() == "CN=" + "x" * 64


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        pem_of_key(ec.generate_private_key(ec.SECP384R1())),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        ),
    ],
    ids=["empty", "garbage", "other curve", "other kind", "locked"],
)
def test_a_key_that_cannot_be_used_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(KeyProblem, match=r"key\.pem"):
        certificate_request(tmp_path, "web-1")
    assert (tmp_path / "key.pem").read_bytes() == content


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="cannot be written: No such file"):
        certificate_request(tmp_path / "absent", "web-1")


def test_a_certificate_for_this_key_says_whom_it_names_and_how_long(tmp_path: Path) -> None:
    certificate = AUTHORITY.endpoint(certificate_request(tmp_path, "web-1"), "ep-1", days=2)
    facts = inspect(tmp_path, certificate, AUTHORITY.pem)
    assert facts.uri == "spiffe://homeostat/org/o/site/s/group/g/endpoint/ep-1"
    assert timedelta(days=1.9) < facts.not_after - datetime.now(UTC) < timedelta(days=2.1)
    assert facts.not_before < datetime.now(UTC)
    assert inspect(tmp_path, certificate, OTHER.pem + AUTHORITY.pem) == facts


def chain_of(*links: str) -> Callable[[bytes], bytes]:
    """A chain from the leaf up; each link is issued by the next, the last by AUTHORITY."""

    def build(csr: bytes) -> bytes:
        issuers = [AUTHORITY]
        for common in reversed(links):
            issuers.append(issuers[-1].subordinate(common))
        return issuers[-1].endpoint(csr, "ep-1") + b"".join(one.pem for one in reversed(issuers[1:]))

    return build


def test_a_chain_over_issuers_leads_to_the_authority(tmp_path: Path) -> None:
    csr = certificate_request(tmp_path, "web-1")
    assert inspect(tmp_path, chain_of("endpoints")(csr), AUTHORITY.pem).uri.endswith("ep-1")
    assert inspect(tmp_path, chain_of("endpoints")(csr) + AUTHORITY.pem, AUTHORITY.pem).uri.endswith("ep-1")


def for_another_key(csr: bytes) -> bytes:
    return AUTHORITY.endpoint(request_of(ec.generate_private_key(ec.SECP256R1())), "ep-1")


def of_another_authority(csr: bytes) -> bytes:
    return OTHER.endpoint(csr, "ep-1")


def with_a_broken_chain(csr: bytes) -> bytes:
    return AUTHORITY.endpoint(csr, "ep-1") + OTHER.pem + AUTHORITY.pem


def with_too_long_a_chain(csr: bytes) -> bytes:
    return chain_of(*(f"i{n}" for n in range(CHAIN_MAX)))(csr)


def that_names_a_server(csr: bytes) -> bytes:
    return AUTHORITY.endpoint(csr, "ep-1", uris=["https://example.org/endpoint/ep-1"])


def that_names_two(csr: bytes) -> bytes:
    return AUTHORITY.endpoint(csr, "ep-1", uris=["spiffe://homeostat/endpoint/a", "spiffe://homeostat/endpoint/b"])


def without_names(csr: bytes) -> bytes:
    key = x509.load_der_x509_csr(csr).public_key()
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(AUTHORITY.certificate.subject)
    builder = builder.public_key(key).serial_number(1)
    certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return certificate.sign(AUTHORITY.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: b"", "cannot be read"),
        (lambda _: b"garbage", "cannot be read"),
        (for_another_key, "for another key"),
        (of_another_authority, "does not come from the controller's authority"),
        (with_a_broken_chain, "does not come from the controller's authority"),
        (with_too_long_a_chain, "does not come from the controller's authority"),
        (that_names_a_server, "names no endpoint"),
        (that_names_two, "names no endpoint"),
        (without_names, "names no endpoint"),
    ],
)
def test_a_certificate_that_is_not_ours_is_refused(tmp_path: Path, make: Callable[[bytes], bytes], why: str) -> None:
    certificate = make(certificate_request(tmp_path, "web-1"))
    with pytest.raises(KeyProblem, match=why):
        inspect(tmp_path, certificate, AUTHORITY.pem)


def test_without_an_authority_nothing_is_believed(tmp_path: Path) -> None:
    certificate = AUTHORITY.endpoint(certificate_request(tmp_path, "web-1"), "ep-1")
    with pytest.raises(KeyProblem, match="cannot be read"):
        inspect(tmp_path, certificate, b"")
