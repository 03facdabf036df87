"""Requests as they are on the wire."""

import re


def head(line: str = "GET /", *headers: str) -> bytes:
    """Write a head."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def chunk(data: bytes) -> bytes:
    """Write a chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


AMBIGUOUS = {
    "two lengths": head("POST /", "Content-Length: 1", "Content-Length: 1") + b"x",
    "length and chunks": head("POST /", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunks and length": head("POST /", "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
    "a list of lengths": head("POST /", "Content-Length: 1, 1") + b"x",
    "a signed length": head("POST /", "Content-Length: +1") + b"x",
    "a huge length": head("POST /", "Content-Length: 18446744073709551617") + b"x",
    "no length": head("POST /", "Content-Length:") + b"x",
    "another coding": head("POST /", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunks twice": head("POST /", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "a made-up coding": head("POST /", "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "a coding on a second line": head("POST /", "Transfer-Encoding:", " chunked") + b"0\r\n\r\n",
    "a folded header": head("POST /", "X: a", " b"),
    "bare line feeds": b"POST / HTTP/1.1\nHost: a\nContent-Length: 1\n\nx",
    "a bare line feed": b"POST / HTTP/1.1\r\nHost: a\nContent-Length: 1\r\n\r\nx",
    "a bare carriage return": b"POST / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "a space before a colon": head("POST /", "Content-Length : 1") + b"x",
    "a space before a header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a null in a value": head("GET /", "X: a\0b"),
    "no colon": head("GET /", "X"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": head("GET /", "Host: b"),
    "another version": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "a made-up method": head("FOO /"),
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no path": head("GET x"),
    "a length in hexadecimal": head("POST /", "Transfer-Encoding: chunked") + b"0x1\r\nx\r\n0\r\n\r\n",
    "a space behind a length": head("POST /", "Transfer-Encoding: chunked") + b"1 \r\nx\r\n0\r\n\r\n",
    "a chunk without an end": head("POST /", "Transfer-Encoding: chunked") + b"1\r\nxy0\r\n\r\n",
    "a line feed behind a length": head("POST /", "Transfer-Encoding: chunked") + b"1\nx\n0\n\n",
    "a length in the trailers": head("POST /", "Transfer-Encoding: chunked") + b"0\r\nContent-Length: 5\r\n\r\n",
}
"""What two servers might read in two ways, or what is no HTTP at all."""
