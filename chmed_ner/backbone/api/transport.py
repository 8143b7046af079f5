"""How the client's requests travel: a deadline for the whole answer, proxies, certificates.

The client's own time-outs are for each step (connecting, the next piece of an answer), so a server
that drips bytes could keep a question for hours.
"""

import contextlib
import math
import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

from chmed_ner.errors import InputError

_CORE_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


class Deadline(threading.local):
    """When the answer that this thread waits for has to be there, on the monotonic clock."""

    at = math.inf

    def left(self, most: float | None) -> float:
        """Seconds for the next step, at most `most`; ReadTimeout when none are left."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the time is over")
        return left if most is None else min(left, most)


class Transport(httpx2.BaseTransport):
    """Connections to one address, as many as there are threads that ask, kept open.

    A request's read time-out is the time for the whole answer, from connecting to the last byte,
    however slowly the bytes come in.
    """

    def __init__(self, url: str) -> None:
        self.deadline = Deadline()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_certificates() if url.startswith("https:") else None,
            proxy=_proxy(url),
            max_connections=None,
            network_backend=_Backend(self.deadline),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer; its body is read later, by the same thread."""
        self.deadline.at = time.monotonic() + request.extensions["timeout"]["read"]
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            response = self._pool.handle_request(asked)
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    """A body that is still to come."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _Stream(httpcore2.NetworkStream):
    """A connection of which each step takes no longer than the answer may."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    """Makes such connections."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(timeout)
        stream = self._plain.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self._deadline)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The engine's errors as those of the same name that the client knows."""
    try:
        yield
    except _CORE_ERRORS as error:
        kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise kind(str(error)) from error


def _proxy(url: str) -> httpcore2.Proxy | None:
    """The proxy for `url`, chosen as requests does: HTTP(S)_PROXY, ALL_PROXY, NO_PROXY."""
    from requests.utils import get_environ_proxies, select_proxy

    found = select_proxy(url, get_environ_proxies(url))
    if not found:
        return None
    try:
        proxy = httpx2.Proxy(found if "://" in found else f"http://{found}")
        usable = not proxy.url.scheme.startswith("socks") or find_spec("socksio") is not None
    except (ValueError, httpx2.InvalidURL):  # not shown: a proxy's address may hold a password
        usable = False
    if not usable:
        raise InputError(
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: the environment names a proxy that cannot be "
            "used; give one like http://HOST:PORT (SOCKS needs the package socksio), or put the "
            "host of backbone.base_url into NO_PROXY"
        )
    return httpcore2.Proxy(str(proxy.url), auth=proxy.raw_auth)


def _certificates() -> ssl.SSLContext:
    """Those of REQUESTS_CA_BUNDLE, else of SSL_CERT_FILE, else of the system."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    try:
        if not bundle:
            return httpx2.create_ssl_context()
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise InputError(
            f"REQUESTS_CA_BUNDLE or SSL_CERT_FILE: no certificates there ({error}); name a file in "
            "PEM format"
        ) from None
