"""The certificate authority: a root that only signs two issuers, one for endpoints and one for servers.

Invariant: an endpoint's certificate can never pass for a server's, nor a server's for an endpoint's, and nothing is
issued for a key whose owner has not shown that they hold it. Keys are P-256; they lie in the data folder, mode 0600.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from homeostat_controller import key_files
from homeostat_controller.errors import Invalid

CSR_BYTES_MAX = 8192
ROOT_LIFE = timedelta(days=3650)
ISSUER_LIFE = timedelta(days=1825)
SERVER_LIFE = timedelta(days=7)
# Clocks of endpoints may be this much behind ours.
CLOCK_SKEW = timedelta(minutes=5)
_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class Issuer:
    """A key that signs certificates, with its own certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Request:
    """A checked certificate request: the key, and the SHA-256 of its SubjectPublicKeyInfo, hex."""

    key: ec.EllipticCurvePublicKey
    public_key: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its issuer's behind it, as PEM."""

    pem: str
    serial: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a listener presents: key and chain as PEM, and when to fetch the next one."""

    key_pem: bytes
    chain_pem: bytes
    renew_at: datetime


class Authority:
    """The root, with the issuers for endpoints and for servers."""

    def __init__(self, root: Issuer, endpoints: Issuer, servers: Issuer) -> None:
        self._root = root
        self._endpoints = endpoints
        self._servers = servers
        self.root_pem = root.certificate.public_bytes(_PEM)
        self.root_der = root.certificate.public_bytes(_DER)

    def issue(self, request: Request, uri: str, life: timedelta, now: datetime) -> Issued:
        """Return a client certificate for a checked request, naming `uri`."""
        builder = _builder(uri.rpartition("/")[2], request.key, (now, life))
        builder = _leaf(builder, ExtendedKeyUsageOID.CLIENT_AUTH, [x509.UniformResourceIdentifier(uri)])
        certificate = _signed(builder, self._endpoints)
        pem = certificate.public_bytes(_PEM) + self._endpoints.certificate.public_bytes(_PEM)
        return Issued(pem.decode(), f"{certificate.serial_number:x}", certificate.not_valid_after_utc)

    def server_certificate(self, names: tuple[str, ...], now: datetime) -> ServerCertificate:
        """Return a new key and certificate for a listener reached by these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder("Homeostat controller", key.public_key(), (now, SERVER_LIFE))
        builder = _leaf(builder, ExtendedKeyUsageOID.SERVER_AUTH, [_general_name(name) for name in names])
        certificate = _signed(builder, self._servers)
        chain = certificate.public_bytes(_PEM) + self._servers.certificate.public_bytes(_PEM)
        return ServerCertificate(_key_pem(key), chain, now + SERVER_LIFE / 2)

    def derive(self, purpose: bytes) -> bytes:
        """Return a 32-byte secret of this authority for one purpose, the same after every start."""
        secret = self._endpoints.key.private_numbers().private_value.to_bytes(32, "big")
        return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret)


def read_request(csr_der: bytes) -> Request:
    """Check a certificate request: its size, its key's kind, and that its sender holds the key.

    Raises Invalid.
    """
    if len(csr_der) > CSR_BYTES_MAX:
        raise Invalid(f"the certificate request has {len(csr_der)} bytes; {CSR_BYTES_MAX} are allowed")
    try:
        csr = x509.load_der_x509_csr(csr_der)
        key = csr.public_key()
        genuine = csr.is_signature_valid
    except (ValueError, TypeError, InvalidSignature):
        raise Invalid("the certificate request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Invalid("the certificate request must be for an ECDSA P-256 key")
    if not genuine:
        raise Invalid("the certificate request is not signed by its own key")
    info = key.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Request(key, hashlib.sha256(info).hexdigest())


def load_or_create(folder: Path, now: datetime) -> Authority:
    """Return the authority of this folder, made at the first call.

    Raises KeyFileError.
    """
    root = _issuer(folder, "root", None, now)
    return Authority(root, _issuer(folder, "endpoints", root, now), _issuer(folder, "servers", root, now))


def _issuer(folder: Path, name: str, parent: Issuer | None, now: datetime) -> Issuer:
    """Return a key with its certificate, both in one file so that they can never part."""
    pem = key_files.load_or_create(folder / f"{name}.pem", lambda: _new_issuer(name, parent, now))
    try:
        key = serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError):
        raise key_files.KeyFileError(f"{folder / name}.pem: it holds no key with its certificate") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise key_files.KeyFileError(f"{folder / name}.pem: its key is not an elliptic-curve key")
    return Issuer(key, certificate)


def _new_issuer(name: str, parent: Issuer | None, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    title = f"Homeostat {name}"
    builder = _builder(title, key.public_key(), (now, ROOT_LIFE if parent is None else ISSUER_LIFE))
    depth = 1 if parent is None else 0
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    if parent is None:
        certificate = builder.issuer_name(_named(title)).sign(key, hashes.SHA256())
    else:
        certificate = _signed(builder, parent)
    return _key_pem(key) + certificate.public_bytes(_PEM)


def _builder(
    name: str, key: ec.EllipticCurvePublicKey, validity: tuple[datetime, timedelta]
) -> x509.CertificateBuilder:
    now, life = validity
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _leaf(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier, names: list[x509.GeneralName]
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, issuer: Issuer) -> x509.Certificate:
    parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    named = builder.issuer_name(issuer.certificate.subject).add_extension(parent, critical=False)
    return named.sign(issuer.key, hashes.SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
