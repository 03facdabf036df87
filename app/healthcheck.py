"""Whether the service of this container is ready: ``python -m app.healthcheck`` ends with 0 if it is, else with 1.

It is run every few seconds for as long as the service lives, so it reads the three settings that it needs by itself:
``app.settings`` takes fifteen times as long to import. The settings must stand in the environment, as they do in an image,
and name the port: a free one, which ``GYOZA_PORT=0`` takes, can't be known here, so such a service is never healthy.
"""

import os
import socket
import sys
from collections.abc import Iterator, Mapping

SECONDS = 2.0
"""The longest wait for each part of an answer."""
DEFAULT_PORT = "8000"
LONGEST = 2**16
"""Bytes of an answer that are read."""
NEAR = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one asks who listens everywhere.
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def main(environment: Mapping[str, str]) -> int:
    """Ask whether the service is ready; what it answers else is printed, for whoever inspects the container."""
    settings = {name.upper(): value for name, value in environment.items()}
    try:
        answer = asked(settings)
    except (OSError, ValueError) as error:
        print(f"The service must answer, and does not: {error}")
        return 1
    status, _, rest = answer.partition(b"\r\n")
    if status.split()[1:2] == [b"200"]:
        return 0
    print(rest.partition(b"\r\n\r\n")[2].decode(errors="replace") or f"The service must answer. Received: {status!r}")
    return 1


def asked(settings: Mapping[str, str]) -> bytes:
    """Return what the service answers.

    Raises:
        OSError: It does not.
        ValueError: The port is none.
    """
    host = settings.get("GYOZA_HOST", "127.0.0.1")
    address = NEAR.get(host, host), int(own_port(settings.get("GYOZA_PORT", DEFAULT_PORT)))
    with socket.create_connection(address, SECONDS) as plain:
        connection = encrypted(plain) if settings.get("GYOZA_TLS_CERTIFICATE") else plain
        with connection:
            connection.sendall(REQUEST)
            return b"".join(parts(connection))


def own_port(port: str) -> str:
    """Return a port as the service reads it: what Kubernetes tells of a service called gyoza, such as tcp://10.0.0.1:80, is none."""
    return DEFAULT_PORT if "://" in port else port


def encrypted(connection: socket.socket) -> socket.socket:
    """Speak TLS on a connection. The certificate, which names another host than this one, is not looked at."""
    import ssl  # noqa: PLC0415 - takes as long as all the rest.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def parts(connection: socket.socket) -> Iterator[bytes]:
    """Yield an answer as it comes, up to the longest that is read."""
    left = LONGEST
    while left > 0 and (part := connection.recv(left)):
        left -= len(part)
        yield part


if __name__ == "__main__":
    sys.exit(main(os.environ))
