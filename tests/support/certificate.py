"""A certificate for localhost that is its own authority."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(frozen=True)
class Certificate:
    """The certificate's file, and a TLS context for a server that shows it."""

    file: Path
    context: ssl.SSLContext


def make_certificate(directory: Path, *names: str) -> Certificate:
    """A new self-signed certificate for localhost, good for a day from yesterday on.

    Further names may be given, also with a ``*`` for one label.
    """
    known = [x509.DNSName(each) for each in ("localhost", *names)]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName(known), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "certificate.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = directory / "key.pem"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # busybox's TLS does not say which signatures it takes; OpenSSL then assumes SHA-1 and, at its
    # usual level, refuses that.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(file, secret)
    return Certificate(file, context)
