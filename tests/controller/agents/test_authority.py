"""The authority: chains that verify, purposes that do not mix, requests that prove their key."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fixtures_controller import START
from fixtures_identities import Keys

from homeostat_controller.agents import authority, identity
from homeostat_controller.agents.authority import Authority
from homeostat_controller.errors import Invalid
from homeostat_controller.key_files import KeyFileError

URI = identity.uri("default", "default", "default", "ep-1")
DAY = timedelta(days=1)


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    return authority.load_or_create(tmp_path / "authority", START)


def chain(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem)


def builder(made: Authority) -> verification.PolicyBuilder:
    root = x509.load_der_x509_certificate(made.root_der)
    return verification.PolicyBuilder().store(verification.Store([root])).time(START + timedelta(hours=1))


def test_an_endpoint_s_certificate_verifies_to_the_root_and_names_it(made: Authority) -> None:
    keys = Keys()
    issued = made.issue(authority.read_request(keys.csr_der), URI, DAY, START)
    leaf, issuer = chain(issued.pem.encode())
    verified = builder(made).build_client_verifier().verify(leaf, [issuer])
    assert [name.value for name in verified.subjects or []] == [URI]
    assert leaf.public_key() == keys.key.public_key()
    found = identity.of_certificate(issued.pem.encode())
    assert (found.endpoint_id, found.serial, found.not_after) == ("ep-1", issued.serial, START + DAY)


def test_a_server_certificate_verifies_for_its_names_only(made: Authority) -> None:
    served = made.server_certificate(("one.example", "10.0.0.1"), START)
    leaf, issuer = chain(served.chain_pem)
    builder(made).build_server_verifier(x509.DNSName("one.example")).verify(leaf, [issuer])
    with pytest.raises(verification.VerificationError):
        builder(made).build_server_verifier(x509.DNSName("two.example")).verify(leaf, [issuer])
    assert START < served.renew_at < leaf.not_valid_after_utc


def test_neither_passes_for_the_other(made: Authority) -> None:
    client = made.issue(authority.read_request(Keys().csr_der), URI, DAY, START)
    leaf, issuer = chain(client.pem.encode())
    with pytest.raises(verification.VerificationError):
        builder(made).build_server_verifier(x509.DNSName("one.example")).verify(leaf, [issuer])
    server = made.server_certificate(("one.example",), START)
    leaf, issuer = chain(server.chain_pem)
    with pytest.raises(verification.VerificationError):
        builder(made).build_client_verifier().verify(leaf, [issuer])
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_same_folder_gives_the_same_authority(made: Authority, tmp_path: Path) -> None:
    again = authority.load_or_create(tmp_path / "authority", START + DAY)
    assert again.root_der == made.root_der
    assert again.derive(b"a") == made.derive(b"a") != made.derive(b"b")


def test_a_damaged_key_file_is_a_sentence(made: Authority, tmp_path: Path) -> None:
    path = tmp_path / "authority" / "servers.pem"
    path.write_bytes(b"nothing")
    with pytest.raises(KeyFileError, match=r"servers\.pem"):
        authority.load_or_create(tmp_path / "authority", START)


def signed_by(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.DER)


def forged() -> bytes:
    genuine = bytearray(Keys().csr_der)
    genuine[-3] ^= 1  # inside the signature
    return bytes(genuine)


@pytest.mark.parametrize(
    ("csr", "said"),
    [
        (b"", "cannot be read"),
        (b"\x30\x03abc", "cannot be read"),
        (b"a" * (authority.CSR_BYTES_MAX + 1), "are allowed"),
        (signed_by(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (signed_by(rsa.generate_private_key(65537, 2048)), "P-256"),
        (signed_by(ed25519.Ed25519PrivateKey.generate()), "P-256"),
        (forged(), "not signed by its own key|cannot be read"),
    ],
)
def test_a_request_that_is_none_is_refused(csr: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        authority.read_request(csr)
