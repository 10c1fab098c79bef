"""What Kaggle has, where it is to be had, and what Kaggle says to this user.

kagglehub finds the credentials, speaks to Kaggle's API and reads the checksum it announces. The rest of its
`dataset_download` and `competition_download` is done by hand in `fetch` and `archive`, as of kagglehub 1.0.2 because

- the transfer has no timeout until it is resumed, and a broken one is not tried again;
- resuming appends whatever is answered: an error page, or the whole file from a server that ignores Range. The
  checksum then fails, and gigabytes of good bytes are deleted with the bad ones;
- without an MD5 (Google's storage has none for files uploaded in parts) not even the size is checked;
- unpacking knows no limits, and `output_dir` holds half a data set when it is interrupted;
- progress is a tqdm bar and log lines on standard output, with nothing that a caller could show otherwise.
"""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any, NamedTuple

from hilum.dataset.fetch.archive import FetchError, FetchReason

TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of data
SIGN_IN = (
    "create a token at https://www.kaggle.com/settings (Create New Token) and save it as ~/.kaggle/kaggle.json, "
    "or set KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN"
)


class Origin(NamedTuple):
    """Where a data set lives and on what terms."""

    handle: str
    page: str
    terms: str
    competition: bool = False


class Offer(NamedTuple):
    """An archive that Kaggle has, and the short-lived address to get it from."""

    url: str
    size: int
    identity: dict[str, Any]  # what is kept on disk to tell this archive from another


def ask(origin: Origin) -> Offer:
    """Let Kaggle say what it has and where. Its verdict on credentials and rules is a FetchError."""
    import requests
    from kagglehub.clients import build_kaggle_client
    from kagglehub.config import get_kaggle_credentials
    from kagglehub.http_resolver import ApiDownloadDataFilesRequest, ApiDownloadDatasetRequest, ApiGetDatasetRequest
    from kagglehub.integrity import get_md5_checksum_from_response

    try:
        known = get_kaggle_credentials() is not None
    except (ValueError, OSError):  # they may quote the token, so they end here
        raise FetchError(FetchReason.CREDENTIALS_WRONG, f"your Kaggle token cannot be read; {SIGN_IN}") from None
    if origin.competition and not known:  # data sets are given to anybody
        raise _refusal(401, origin, known)
    try:
        # kagglehub announces its own new releases on standard output.
        with build_kaggle_client() as client, redirect_stdout(StringIO()):
            session = client.http_client()._session  # kagglesdk sets no timeout, and has no way to set one
            session.send = partial(session.send, timeout=TIMEOUT)
            version = None
            if origin.competition:
                archive = ApiDownloadDataFilesRequest()
                archive.competition_name = origin.handle
                response = client.competitions.competition_api_client.download_data_files(archive)
            else:
                dataset, archive = ApiGetDatasetRequest(), ApiDownloadDatasetRequest()
                dataset.owner_slug, dataset.dataset_slug = origin.handle.split("/")
                archive.owner_slug, archive.dataset_slug = origin.handle.split("/")
                version = client.datasets.dataset_api_client.get_dataset(dataset).current_version_number
                archive.dataset_version_number = version
                response = client.datasets.dataset_api_client.download_dataset(archive)
            # Only its head is read: the file itself is asked for by `_continue`, from where we are.
            with response:
                size = int(response.headers.get("Content-Length", 0))
                if size == 0 or "html" in response.headers.get("Content-Type", ""):
                    raise requests.RequestException("no archive")
                md5, etag = get_md5_checksum_from_response(response), response.headers.get("ETag")
                return Offer(response.url, size, {"version": version, "size": size, "md5": md5, "etag": etag})
    except requests.HTTPError as error:
        match error.response:
            case requests.Response(status_code=status, history=redirects) as response:
                response.close()  # kagglesdk leaves an unread refusal open
                # After a redirect it is the storage that failed, which says nothing about the user.
                if status in (401, 403, 404) and not redirects:
                    raise _refusal(status, origin, known) from error
        raise
    except (requests.RequestException, json.JSONDecodeError):
        raise
    except ValueError:  # no header can carry the token; the error quotes it, so it ends here
        detail = f"your Kaggle token holds characters that no token has; {SIGN_IN}"
        raise FetchError(FetchReason.CREDENTIALS_WRONG, detail) from None


def _refusal(status: int, origin: Origin, known: bool) -> FetchError:
    if status == 404:
        return FetchError(FetchReason.NOT_FOUND, f"Kaggle no longer has it at {origin.page}; open the page to see why")
    if not known:
        return FetchError(FetchReason.CREDENTIALS_MISSING, f"Kaggle gives this to signed-in users only; {SIGN_IN}")
    if status == 401:
        return FetchError(FetchReason.CREDENTIALS_WRONG, f"Kaggle does not know your token; {SIGN_IN}")
    if origin.competition:
        detail = f"accept the rules at {origin.page}/rules with your account, then run the same command again"
        return FetchError(FetchReason.RULES_NOT_ACCEPTED, detail)
    return FetchError(FetchReason.ACCESS_DENIED, f"Kaggle denies your account this data set; open {origin.page}")


def trouble(error: Exception, arrived: int) -> str:
    """What is wrong with the network. The error's own words stay out: they hold the signed address of the file."""
    import requests

    match error:
        case requests.HTTPError(response=requests.Response(status_code=status)):
            what = f"Kaggle answers {status}; try later"
        case requests.exceptions.ProxyError():
            what = "the proxy named in HTTPS_PROXY refuses; check it"
        case requests.exceptions.SSLError():
            what = "the certificate shown is not Kaggle's; where a proxy opens TLS, name its own in REQUESTS_CA_BUNDLE"
        case requests.Timeout():
            what = "kaggle.com does not answer; check the connection"
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            what = "kaggle.com cannot be reached; check the connection"
        case _:
            what = "what answers is not Kaggle; does your network have a login page or a filter?"
    return f"{what} (the same command continues at {arrived / 1e6:,.0f} MB)" if arrived else what
