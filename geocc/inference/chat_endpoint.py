"""One question to an OpenAI-compatible endpoint, one answer: its address, its key, and what an error may show of either."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from geocc.errors import CaptionError, InputError

__all__ = ["ChatEndpoint"]

RETRIED_STATUS = (408, 429, 500, 502, 503, 504)


class ChatEndpoint:
    """`POST {base_url}/chat/completions` at temperature 0; used by several threads at once.

    Args:
        base_url: Where the API begins, for example `"http://localhost:8000/v1"`.
        model: The model's name at that endpoint.
        api_key_variable: Environment variable that holds the key, where one is needed.
        timeout_s: Seconds to wait for one answer.
        retries: Further attempts after a refused connection or an answer that asks to come back later.

    Attributes:
        model: The model's name at the endpoint.
        shown_url: The address without user, password, query and fragment: what may stand in a layer or a message.

    Raises:
        InputError: Not a URL, or the variable is not set.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_variable: str | None = None,
        timeout_s: float = 120.0,
        retries: int = 3,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"base_url is {base_url!r}; expected something like 'http://localhost:8000/v1'.")
        self._url = base_url.rstrip("/") + "/chat/completions"
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self.shown_url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self.model = model
        self._timeout_s = timeout_s
        self._session = _session(api_key_variable, retries=retries)

    def ask(self, content: str | list[dict[str, Any]], *, max_tokens: int) -> str:
        """Ask one question.

        Args:
            content: The user's message: a text, or parts of text and images.
            max_tokens: Longest answer in tokens.

        Returns:
            The answer, not empty, without white space around it. It is text from outside: check it before use.

        Raises:
            CaptionError: The endpoint cannot be reached, refuses, or answers with something else than text.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        try:
            answer = self._session.post(self._url, json=body, timeout=self._timeout_s)
            answer.raise_for_status()
            text = answer.json()["choices"][0]["message"]["content"]
        except requests.RequestException as error:
            # The exception's own text would show the URL with whatever secrets it holds.
            status = "" if error.response is None else f" with status {error.response.status_code}"
            raise CaptionError(
                f"the endpoint {self.shown_url} failed{status} ({type(error).__name__}); check that it is running, "
                f"that it serves the model {self.model!r}, and the key."
            ) from None
        except (KeyError, IndexError, TypeError) as error:
            raise CaptionError(f"the endpoint {self.shown_url} gave an answer without a message: {error!r}") from error
        if not isinstance(text, str) or not text.strip():
            raise CaptionError(f"the endpoint {self.shown_url} gave an empty answer.")
        return text.strip()


class _BearerAuth(AuthBase):
    """A key as authentication, not as a header: requests would let a name in the URL or in .netrc override a header."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _session(api_key_variable: str | None, *, retries: int) -> requests.Session:
    session = requests.Session()
    retry = Retry(
        total=retries, backoff_factor=0.5, status_forcelist=RETRIED_STATUS, allowed_methods=None, raise_on_status=False
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    if api_key_variable is not None:
        key = os.environ.get(api_key_variable)
        if not key:
            raise InputError(
                f"the environment variable {api_key_variable} holds no key; set it: export {api_key_variable}=..."
            )
        session.auth = _BearerAuth(key)
    return session
