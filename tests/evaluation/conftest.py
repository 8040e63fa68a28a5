"""What the tests of the evaluation share: captions, and the one Java process of the session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geocc.evaluation import read_references, stop_meteor
from geocc.evaluation.meteor import shared_meteor

LEVIR_CAPTIONS = Path(__file__).parents[3] / "shared/data/levir_cc/LevirCCcaptions_train_val.json"


@pytest.fixture(scope="session")
def meteor():
    """METEOR as geocc shares it: one Java process, whichever tests use it."""
    yield shared_meteor()
    stop_meteor()


@pytest.fixture(scope="session")
def val_references():
    if not LEVIR_CAPTIONS.exists():
        pytest.skip(f"needs the LEVIR-CC captions in {LEVIR_CAPTIONS}")
    return [reference for reference in read_references(LEVIR_CAPTIONS) if reference.uid.startswith("val")]


@pytest.fixture
def write_lines(tmp_path):
    def write(records, name="predictions.jsonl"):
        path = tmp_path / name
        lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write
