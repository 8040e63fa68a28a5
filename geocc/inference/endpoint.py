"""Any vision-language model behind an OpenAI-compatible endpoint (vLLM, SGLang, a vendor) as a captioner."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
from PIL import Image
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from geocc.errors import CaptionError, InputError
from geocc.inference.captioner import Caption, TileBatch
from geocc.inference.no_change import NO_CHANGE_SENTENCES, says_no_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ENDPOINT_PROMPT", "EndpointCaptioner"]

#: What a general model is asked. A fine-tuned one knows its answer's form; a general one has to be told.
ENDPOINT_PROMPT = (
    "The two images show the same place from above at two dates, the earlier one first. In one sentence of at most 25 "
    "words, say what changed on the ground. Ignore differences of light, season and sensor. "
    f"If nothing changed, answer exactly: {NO_CHANGE_SENTENCES[0]}"
)
RETRIED_STATUS = (408, 429, 500, 502, 503, 504)


class EndpointCaptioner:
    """Sends each pair as two PNG images to `POST {base_url}/chat/completions`.

    `changed` follows the text; there is no `change_probability`, and no `confidence`.

    Args:
        base_url: Where the API begins, for example `"http://localhost:8000/v1"`.
        model: The model's name at that endpoint.
        api_key_variable: Environment variable that holds the key, where one is needed. The key itself never enters a
            layer, a message or a log.
        prompt: The question.
        max_new_tokens: Longest caption in tokens.
        concurrency: Requests under way at once: the server makes the batches.
        timeout_s: Seconds to wait for one answer.
        retries: Further attempts after a refused connection or an answer that asks to come back later.

    Raises:
        InputError: Not a URL, or the variable is not set.
    """

    input_size = 384
    bytes_per_pair = 1 << 20

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_variable: str | None = None,
        prompt: str = ENDPOINT_PROMPT,
        max_new_tokens: int = 64,
        concurrency: int = 8,
        timeout_s: float = 120.0,
        retries: int = 3,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"base_url is {base_url!r}; expected something like 'http://localhost:8000/v1'.")
        self._url = base_url.rstrip("/") + "/chat/completions"
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._shown_url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._model = model
        self._prompt = prompt
        self._max_new_tokens = max_new_tokens
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._session = _session(api_key_variable, retries=retries)

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._model

    @property
    def details(self) -> dict[str, Any]:
        """What the captions depend on, for the layer's metadata; JSON-safe and without secrets."""
        return {
            "endpoint": self._shown_url,
            "prompt": self._prompt,
            "max_new_tokens": self._max_new_tokens,
            "decoding": "temperature 0",
        }

    @property
    def fingerprint(self) -> str:
        """Changes with the endpoint, the model's name, the prompt and the decoding; the server's weights are its own."""
        told = repr((self._model, sorted(self.details.items())))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order.

        Raises:
            CaptionError: The endpoint cannot be reached, refuses, or answers with something else than text.
        """
        with ThreadPoolExecutor(max_workers=self._concurrency) as pool:
            texts = list(pool.map(self._ask, batch.images))
        return [Caption(text, changed=not says_no_change(text)) for text in texts]

    def _ask(self, pair: NDArray[np.uint8]) -> str:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in pair
        ]
        content.append({"type": "text", "text": self._prompt})
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._max_new_tokens,
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
                f"the endpoint {self._shown_url} failed{status} ({type(error).__name__}); check that it is running, "
                f"that it serves the model {self._model!r}, and the key."
            ) from None
        except (KeyError, IndexError, TypeError) as error:
            raise CaptionError(f"the endpoint {self._shown_url} gave an answer without a message: {error!r}") from error
        if not isinstance(text, str) or not text.strip():
            raise CaptionError(f"the endpoint {self._shown_url} gave an empty answer.")
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


def _data_url(image: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
