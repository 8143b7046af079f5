"""How requests travel: proxies and certificates of the environment, each request an attempt."""

import functools
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from chmed_ner.errors import InputError

Attempt = Callable[..., Awaitable[httpx2.Response]]
"""Sends a request with the function that it is given first, and may refuse the answer."""


class _Attempts(httpx2.AsyncClient):
    """Sends each request of the official client as an `attempt`."""

    attempt: Attempt

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """The answer, read to its end."""
        return await self.attempt(functools.partial(super().send, **how), request)


def http_client(attempt: Attempt) -> httpx2.AsyncClient:
    """What the official client sends with: any number of connections, no redirects.

    Raises InputError where the environment's proxies or certificates cannot be used.
    """
    unlimited = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    certificates = _certificates()
    try:
        client = _Attempts(verify=certificates, limits=unlimited, follow_redirects=False)
    except (ValueError, ImportError, httpx2.InvalidURL):
        raise InputError(  # without the address, which may hold a password
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: the environment names a proxy that cannot be "
            "used; give one like http://HOST:PORT (SOCKS needs the package socksio), or unset it"
        ) from None
    client.attempt = attempt
    return client


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
