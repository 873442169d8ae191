"""Keys and certificate requests, as agents make them."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from homeostat.wire.v1 import enrolment_pb2


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Keys:
    """An endpoint's key before it has an identity."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    nonce: bytes = b"n" * 32

    @property
    def csr_der(self) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "endpoint")])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self.key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def request(self, token: str, name: str = "web-1", **labels: str) -> enrolment_pb2.EnrollRequest:
        return enrolment_pb2.EnrollRequest(
            token=token,
            csr_der=self.csr_der,
            nonce=self.nonce,
            name=name,
            labels=labels,
            facts=enrolment_pb2.EndpointFacts(hostname=name, os="debian", cpus=2),
        )
