"""The certificates that an endpoint's is checked against."""

import os
import ssl
from pathlib import Path

import httpx2

from chmed_ner.errors import InputError


def certificates() -> ssl.SSLContext:
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
