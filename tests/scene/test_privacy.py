from __future__ import annotations

import pytest

from geocc.scene.privacy import mask_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:pw@host/a.tif", "https://***@host/a.tif"),
        ("https://host/a.tif?sv=1&sig=abc%3D is gone", "https://host/a.tif?*** is gone"),
        ("'/vsicurl/https://u:p@host/a.tif?sig=abc': 403", "'/vsicurl/https://***@host/a.tif?***': 403"),
        ("/data/what?.tif", "/data/what?.tif"),
        ("/data/me@home/a.tif", "/data/me@home/a.tif"),
        ("s3://bucket/a.tif", "s3://bucket/a.tif"),
    ],
)
def test_secrets_are_masked_and_nothing_else(text, masked):
    assert mask_secrets(text) == masked
