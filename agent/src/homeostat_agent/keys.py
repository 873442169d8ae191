"""The endpoint's own key, and whether a certificate belongs to it; only a child process imports this.

The key is an EC key on P-256, made here, readable by its owner only, and never sent anywhere: what leaves is a request
for a certificate.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY_FILE = "key.pem"
# What X.509 allows a common name to have.
COMMON_NAME_CHARACTERS_MAX = 64
CHAIN_MAX = 8
IDENTITY_SCHEME = "spiffe://"


class KeyProblem(Exception):  # noqa: N818  # an expected answer
    """The key or the certificate cannot be used; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Whom a certificate names, and from when until when."""

    uri: str
    not_before: datetime
    not_after: datetime


def certificate_request(folder: Path, common_name: str) -> bytes:
    """Return a request (DER) for the key in `folder`, which is made where there is none.

    Raises KeyProblem when the key cannot be read or written.
    """
    key = _read(folder) if (folder / KEY_FILE).exists() else _make(folder)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:COMMON_NAME_CHARACTERS_MAX])])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.DER)


def inspect(folder: Path, certificate_pem: bytes, authority_pem: bytes) -> CertificateFacts:
    """Check that a certificate is for the key in `folder` and comes from the authority; return what it says.

    Raises KeyProblem when it does not, or names no endpoint.
    """
    try:
        chain = x509.load_pem_x509_certificates(certificate_pem)
        authorities = x509.load_pem_x509_certificates(authority_pem)
    except ValueError as error:
        raise KeyProblem("The certificate or its authority cannot be read.") from error
    leaf = chain[0]
    if leaf.public_key() != _read(folder).public_key():
        raise KeyProblem("The certificate is for another key.")
    if len(chain) > CHAIN_MAX or not _leads_to(chain, authorities):
        raise KeyProblem("The certificate does not come from the controller's authority.")
    return CertificateFacts(_uri(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def _read(folder: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyProblem(f"{folder / KEY_FILE} cannot be read.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyProblem(f"{folder / KEY_FILE} is not a key on P-256.")
    return key


def _make(folder: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    fresh = folder / f"{KEY_FILE}.new"
    try:
        fresh.unlink(missing_ok=True)
        with open(fresh, "xb", opener=_for_owner_only) as file:  # Path.open takes no opener
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(folder / KEY_FILE)
    except OSError as error:
        raise KeyProblem(f"{folder / KEY_FILE} cannot be written: {error.strerror}.") from error
    return key


def _for_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _leads_to(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    for issued, issuer in pairwise(chain):
        if not _issued_by(issued, issuer):
            return False
    return any(chain[-1] == one or _issued_by(chain[-1], one) for one in authorities)


def _issued_by(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise KeyProblem("The certificate names no endpoint.") from error
    uris = [one for one in names.get_values_for_type(x509.UniformResourceIdentifier) if one.startswith(IDENTITY_SCHEME)]
    if len(uris) != 1:
        raise KeyProblem("The certificate names no endpoint.")
    return str(uris[0])
