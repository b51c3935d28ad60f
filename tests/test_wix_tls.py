"""Wix is known by its certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from parcelhook.errors import WixUnreachable
from wix_wire import ORDER, client_of, serving


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a file with a key for this machine and a certificate that nobody but itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a store on loopback")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    lasting = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime.max)  # noqa: DTZ901
    signed = lasting.add_extension(address, critical=False).sign(key, SHA256())
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_wix_is_known_by_its_certificate(certificate: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool) -> None:
    """A call goes over TLS, and to nobody whose certificate no trusted authority signed."""
    authorities = ssl.create_default_context(cafile=certificate if trusted else None)
    monkeypatch.setattr("parcelhook.wix.transport._trusted_authorities", lambda: authorities)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    with serving(tls=tls) as wire, client_of(wire.url) as client:
        if trusted:
            client.list_fulfillments(ORDER)
        else:
            with pytest.raises(WixUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                client.list_fulfillments(ORDER)

    assert [request.headers["authorization"] for request in wire.received] == (["the-api-key"] if trusted else [])
