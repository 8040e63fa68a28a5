"""Any vision-language model behind an OpenAI-compatible endpoint (vLLM, SGLang, a vendor) as a captioner."""

from __future__ import annotations

import base64
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from PIL import Image

from geocc.inference.captioner import Caption, TileBatch
from geocc.inference.chat_endpoint import ChatEndpoint
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
        self._endpoint = ChatEndpoint(
            base_url, model, api_key_variable=api_key_variable, timeout_s=timeout_s, retries=retries
        )
        self._prompt = prompt
        self._max_new_tokens = max_new_tokens
        self._concurrency = concurrency

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._endpoint.model

    @property
    def details(self) -> dict[str, Any]:
        """What the captions depend on, for the layer's metadata; JSON-safe and without secrets."""
        return {
            "endpoint": self._endpoint.shown_url,
            "prompt": self._prompt,
            "max_new_tokens": self._max_new_tokens,
            "decoding": "temperature 0",
        }

    @property
    def fingerprint(self) -> str:
        """Changes with the endpoint, the model's name, the prompt and the decoding; the server's weights are its own."""
        told = repr((self.name, sorted(self.details.items())))
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
        return self._endpoint.ask(content, max_tokens=self._max_new_tokens)


def _data_url(image: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
