"""Certificates for tests: an authority, server certificates for loopback, and endpoint certificates from a CSR."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey


def pem_of_key(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A certificate authority that vouches for servers, endpoints and further authorities."""

    def __init__(self, common: str = "Homeostat test authority", parent: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self.certificate: x509.Certificate = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(parent.certificate.subject if parent else name(common))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(parent.key if parent else self.key, hashes.SHA256())
        )

    def subordinate(self, common: str) -> "Authority":
        """Return an authority that this one vouches for."""
        return Authority(common, self)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def server(self, *, host: str = "127.0.0.1", days: float = 1) -> tuple[bytes, bytes]:
        """Return the PEM of a key and of a certificate for a server at an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.IPAddress(ip_address(host)), x509.DNSName("localhost")]
        certificate = self._issue("server", key.public_key(), alternatives, ExtendedKeyUsageOID.SERVER_AUTH, days)
        return pem_of_key(key), certificate

    def endpoint(self, csr_der: bytes, endpoint_id: str, *, days: float = 1, uris: Sequence[str] = ()) -> bytes:
        """Return the PEM of a certificate for whoever made the CSR; it names the endpoint, or `uris`."""
        csr = x509.load_der_x509_csr(csr_der)
        assert csr.is_signature_valid
        uri = f"spiffe://homeostat/org/o/site/s/group/g/endpoint/{endpoint_id}"
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        alternatives = [x509.UniformResourceIdentifier(one) for one in uris or (uri,)]
        return self._issue(endpoint_id, public, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def reissue(self, certificate_pem: bytes, endpoint_id: str) -> bytes:
        """Return the PEM of a certificate for the key of another one."""
        public = x509.load_pem_x509_certificate(certificate_pem).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        uri = f"spiffe://homeostat/org/o/site/s/group/g/endpoint/{endpoint_id}"
        names = [x509.UniformResourceIdentifier(uri)]
        return self._issue(endpoint_id, public, names, ExtendedKeyUsageOID.CLIENT_AUTH, 1)

    def _issue(
        self,
        common: str,
        public: ec.EllipticCurvePublicKey,
        alternatives: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        days: float,
    ) -> bytes:
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def request_of(key: Key, common: str = "endpoint") -> bytes:
    """Return the DER of a certificate request."""
    csr = x509.CertificateSigningRequestBuilder().subject_name(name(common)).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.DER)
