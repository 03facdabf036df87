"""The files of TLS, looked at before anything is served by them."""

import ssl
from pathlib import Path

PASSWORD = "-"  # noqa: S105 - no password: one that is wrong, so that nobody is asked for the right one at a terminal.
WHY = {"KEY_VALUES_MISMATCH": "the key belongs to another certificate"}


class TlsFilesError(Exception):
    """TLS can't be had with the files given; the text says why, and what to do."""


def check_tls(certificate: Path, key: Path) -> None:
    """See that a certificate and its key can be served by.

    Args:
        certificate: A file in PEM, the server's own certificate first, then those that lead to its authority.
        key: The private key of the first, in PEM, without a password.

    Raises:
        TlsFilesError: They can't be read, or don't belong together.
    """
    for path in (certificate, key):
        check_readable(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: PASSWORD)
    except ssl.SSLError as error:
        why = WHY.get(error.reason, f"OpenSSL says {error.reason or 'no more than that'}")
        raise TlsFilesError(
            f"{certificate} must be a certificate, and {key} its key without a password, both in PEM. Received: others "
            f"({why}). Name those that belong together by GYOZA_TLS_CERTIFICATE and GYOZA_TLS_KEY."
        ) from error


def check_readable(path: Path) -> None:
    """See that a file can be read.

    Raises:
        TlsFilesError: It can't.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise TlsFilesError(
            f"{path} must be a file that can be read, and can't: {error.strerror}. Mend it, or name another one by "
            "GYOZA_TLS_CERTIFICATE and GYOZA_TLS_KEY."
        ) from error
