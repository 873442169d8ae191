"""Who a peer is: one URI of exactly our form, or nobody."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from fixtures_controller import START
from fixtures_identities import new_key

from homeostat_controller.agents import identity
from homeostat_controller.agents.identity import NoIdentity

GOOD = "spiffe://homeostat/org/o/site/s/group/g/endpoint/ep-1"


def certificate(*names: x509.GeneralName) -> bytes:
    key, name = new_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ep-1")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(255)
        .not_valid_before(START)
        .not_valid_after(START)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def test_a_certificate_of_our_form_names_an_endpoint() -> None:
    found = identity.of_certificate(certificate(uri(GOOD)))
    assert found == identity.Identity("o", "s", "g", "ep-1", "ff", START)
    assert identity.uri("o", "s", "g", "ep-1") == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://other/org/o/site/s/group/g/endpoint/ep-1",
        "https://homeostat/org/o/site/s/group/g/endpoint/ep-1",
        GOOD + "/",
        GOOD + "/more",
        GOOD + "?x=1",
        GOOD.replace("/site/s", ""),
        GOOD.replace("ep-1", ""),
        GOOD.replace("ep-1", "-1"),
        GOOD.replace("ep-1", "e" * 64),
        GOOD.replace("ep-1", "%65p"),
        "spiffe://homeostat/org/o/group/g/site/s/endpoint/ep-1",
    ],
)
def test_any_other_uri_names_nobody(text: str) -> None:
    with pytest.raises(NoIdentity):
        identity.of_certificate(certificate(uri(text)))


@pytest.mark.parametrize(
    "names",
    [(), (x509.DNSName("ep-1"),), (uri(GOOD), uri(GOOD.replace("ep-1", "ep-2"))), (uri(GOOD), uri("spiffe://other/x"))],
)
def test_no_name_and_several_names_are_nobody(names: tuple[x509.GeneralName, ...]) -> None:
    with pytest.raises(NoIdentity):
        identity.of_certificate(certificate(*names))


@pytest.mark.parametrize("pem", [b"", b"no certificate", Path(__file__).read_bytes()])
def test_what_is_no_certificate_is_nobody(pem: bytes) -> None:
    with pytest.raises(NoIdentity):
        identity.of_certificate(pem)
