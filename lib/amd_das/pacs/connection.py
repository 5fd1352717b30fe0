"""The HTTP connection to a PACS: credentials, time limits, retries of reads, and failures in our words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util import Retry

from amd_das.errors import NotFoundError, PacsCredentialsError, PacsError, PacsUnreachableError
from amd_das.pacs.config import PacsConfig

CONNECT_SECONDS: Final = 5.0
"""A PACS that does not even take the connection within this time is unreachable (ours)."""

_RETRIES: Final = Retry(
    total=2,
    read=1,
    redirect=0,
    backoff_factor=0.2,
    allowed_methods={"GET"},
    status_forcelist=(429, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
"""Reads are repeated; what stores is sent once."""


class _Credentials(AuthBase):
    """Ours or none: without an object of this kind, requests looks for a netrc file."""

    def __init__(self, config: PacsConfig) -> None:
        self._basic = HTTPBasicAuth(config.username.encode(), config.password.encode()) if config.username else None
        self._token = config.token

    def __call__(self, request: Any) -> Any:
        if self._basic is not None:
            return self._basic(request)
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _PatientAdapter(HTTPAdapter):
    """Waits as long as the configuration says, and repeats reads."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout = (min(CONNECT_SECONDS, timeout_s), timeout_s)
        super().__init__(max_retries=_RETRIES, pool_maxsize=16)

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        options["timeout"] = options.get("timeout") or self.timeout
        return super().send(request, **options)


def open_session(config: PacsConfig) -> requests.Session:
    """A session for this PACS; it is connected when first used."""
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs the queries that it repeats
    session = requests.Session()
    session.auth = _Credentials(config)
    session.max_redirects = 0  # scans are asked for and sent where the configuration says, nowhere else
    adapter = _PatientAdapter(config.timeout_s)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def authorization(config: PacsConfig) -> dict[str, str]:
    """The credentials as an HTTP header, empty where there are none."""
    request = _Credentials(config)(requests.Request("GET", config.url).prepare())
    return {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}


def status_error(config: PacsConfig, status: int, what: str) -> PacsError | NotFoundError:
    """The error for an HTTP status other than success; ``what`` was asked of the PACS."""
    where = f"the PACS at {config.shown}"
    if status in (401, 403):
        given = "the token" if config.token else "the user name or password" if config.username else "no credentials"
        return PacsCredentialsError(
            f"{where} refuses {given} (HTTP {status}); set AMD_DAS_PACS_USERNAME and AMD_DAS_PACS_PASSWORD, or "
            "AMD_DAS_PACS_TOKEN"
        )
    if status in (404, 410):
        return NotFoundError(f"{where} has no {what} (HTTP {status})")
    if status in (429, 502, 503, 504):
        return PacsUnreachableError(f"{where} is busy or being started (HTTP {status}); try again in a while")
    return PacsError(f"{where} answered HTTP {status} when asked for {what}; is the address its DICOMweb root?")


@contextmanager
def in_our_words(config: PacsConfig, what: str) -> Iterator[None]:
    """Failures of requests and of parsing as errors of :mod:`amd_das.errors`.

    Raises:
        PacsUnreachableError, PacsCredentialsError, PacsError, NotFoundError: see ``status_error``.
    """
    where = f"the PACS at {config.shown}"
    try:
        yield
    except requests.HTTPError as error:
        if error.response is None:
            raise PacsError(f"{where} failed when asked for {what}") from error
        raise status_error(config, error.response.status_code, what) from error
    except requests.exceptions.SSLError as error:
        raise PacsError(f"{where}: its certificate is not trusted; set REQUESTS_CA_BUNDLE to your CA's file") from error
    except requests.TooManyRedirects as error:
        raise PacsError(f"{where} sends elsewhere; give the address it sends to") from error
    except requests.Timeout as error:
        raise PacsUnreachableError(f"{where} did not answer within {config.timeout_s:g} s; try again later") from error
    except requests.JSONDecodeError as error:
        raise PacsError(f"{where} sent no DICOM JSON for {what}; is the address its DICOMweb root?") from error
    except requests.RequestException as error:
        raise PacsUnreachableError(f"{where} is unreachable; check that it runs, and its address") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise PacsError(f"{where} sent no DICOM JSON for {what} ({type(error).__name__})") from error
