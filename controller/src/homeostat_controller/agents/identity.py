"""Who a peer is: its certificate's URI, and nothing that it says.

Invariant: an endpoint id is believed only from a certificate whose URI has exactly our form.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from homeostat_controller.errors import ControllerError

# One entry is some 300 bytes; more than the certificates that one controller meets between two renewals.
CERTIFICATES_CACHED = 20_000
_PART = r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})"
_URI = re.compile(rf"spiffe://homeostat/org/{_PART}/site/{_PART}/group/{_PART}/endpoint/{_PART}", re.ASCII)


class NoIdentity(ControllerError):  # noqa: N818  # a property of the peer
    """The peer's certificate names no endpoint."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An endpoint by its certificate, and when that ends."""

    organisation_id: str
    site_id: str
    group_id: str
    endpoint_id: str
    serial: str
    not_after: datetime


def uri(organisation_id: str, site_id: str, group_id: str, endpoint_id: str) -> str:
    """Return the URI that stands in an endpoint's certificate."""
    return f"spiffe://homeostat/org/{organisation_id}/site/{site_id}/group/{group_id}/endpoint/{endpoint_id}"


@lru_cache(maxsize=CERTIFICATES_CACHED)
def of_certificate(pem: bytes) -> Identity:
    """Return whom a certificate names; TLS has checked that it is genuine.

    Raises NoIdentity.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        raise NoIdentity("the certificate names no endpoint") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    found = _URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if found is None:
        raise NoIdentity("the certificate names no endpoint")
    organisation, site, group, endpoint = found.groups()
    serial = f"{certificate.serial_number:x}"
    return Identity(organisation, site, group, endpoint, serial, certificate.not_valid_after_utc)
