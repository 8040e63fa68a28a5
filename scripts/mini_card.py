"""The model card of geocc-mini, written from what was measured."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: image-text-to-text
tags: [remote-sensing, change-captioning, change-detection, ccexpert]
---

# geocc-mini, first edition

A model to try geocc with. It has CCExpert's architecture (arXiv 2411.11360: SigLIP tower, difference-aware integration
module, Qwen2) at {parameters:.1f} million parameters instead of half a billion and up, and a small head for the
probability of change. It was trained from nothing, on scenes that geocc makes itself. **It has never seen a real
image. Do not rely on what it says about one.**

| | |
|---|---|
| input | two images of one place, squashed to 128 x 128 pixels; best: tiles of 256 pixels at about 0.5 m |
| output | one English sentence in lower case, and the probability that the ground changed |
| says | building, road, parking lot, water, trees; came or went; one, two, several; where in the frame |
| weights | bfloat16 safetensors, {megabytes:.1f} MB |
| licence | Apache-2.0, weights and data alike |

## Use

```python
import geocc

layer = geocc.caption_changes("t1.tif", "t2.tif")  # geocc-mini is the default model
```

## Data

Synthetic alone: `geocc.data.synthetic`, {tiles} tiles of 256 pixels from {scenes} scenes of 512 x 512 pixels at 0.4 to
0.6 m, half of them changed, each also mirrored, turned and reversed in time. Season, crops, traffic, sun, haze, exposure,
colour, blur, noise, JPEG and misregistration up to 2 pixels differ between the dates and are not change. No LEVIR-CC, DSIFN
or other restricted image or caption was used.

## Training

{steps} steps of 64 pairs with `scripts/build_mini.py` on two CPU cores in bfloat16,
{hours}. Loss: cross-entropy on the words, binary cross-entropy on the change flag and on every token of the change map,
and auxiliary heads, thrown away afterwards, that name the kind of change at every token and the place of the token. The
change logit was then scaled and shifted to fit validation pairs from other scenes (Platt scaling). Of the weights shipped here, the head
for places and the heavier weight of place words took part from step 600 on, and most tiles were painted by an earlier
commit of the renderer, which differs in its noise; the script in the repository has both from the start.

## Evaluation

`benchmarks/mini_change_flag.py`: {pairs} held-out pairs from scenes of their own, {unchanged} of them unchanged, one of
each sort from a scene, through the processor and greedy decoding as a user gets them.

| | |
|---|---|
| changed flag: accuracy | {accuracy:.3f} |
| precision / recall | {precision:.3f} / {recall:.3f} |
| AUROC | {auroc:.3f} |
| expected calibration error | {expected_calibration_error:.3f} |
| caption agrees with the truth on whether anything changed | {text_agrees_with_truth:.3f} |
| largest change named, with its direction | {main_kind_named:.3f} |
| its place right, where named | {main_kind_place_right:.3f} |
| its number right, where buildings are named | {main_kind_number_right:.3f} |
| exactly the kinds of change that are there | {exactly_the_kinds:.3f} |
| a kind of change that is not there | {invented_kind:.3f} |

{tables}

## Where it fails

- **On real images.** Everything it knows is painted by a program. Expect false alarms wherever the world is richer than
  that: towers and their shadows, snow, clouds, mosaics of several flights.
- **On small things.** What fills less than 0.4 percent of a tile (a shed, a path) was never shown to it as change, and the
  recall of changes under one percent of the tile is the lowest in the table above.
- **At other scales.** A tile should show about 130 m of ground. At 10 m or 30 m a pixel nothing looks as it did in training.
- **In counting and naming.** It says "several" for anything above two, names at most three kinds of change, and takes one
  place for all changes of a kind. Any building of up to 260 square metres is "a house" to it.
- **In other languages, and to other questions.** It knows one question and answers in English.

## Rebuild

```sh
.venv/bin/python scripts/build_mini.py --cache /tmp/geocc-mini
```

renders the scenes, trains tokenizer and model from a fixed seed, measures, and writes this folder with this card. The
figures come out alike, the weights not bit for bit: sums of floating-point numbers depend on the machine.
"""


def write_card(folder: Path, *, report: dict[str, object], training: dict[str, object]) -> None:
    """Write `README.md` into the model's folder and the digest of its weights beside it.

    Args:
        folder: The model's folder.
        report: What `benchmarks/mini_change_flag.py --json` wrote.
        training: `parameters` in millions, `tiles`, `scenes`, `steps` and `hours`, the last in words.
    """
    weights = folder / "model.safetensors"
    text = _CARD.format(**report, **training, megabytes=weights.stat().st_size / 1e6, tables=_tables(report))
    (folder / "README.md").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder.parent / "SHA256SUMS").write_text(f"{digest}  {folder.name}/{weights.name}\n", encoding="utf-8")


def read_report(path: Path) -> dict[str, object]:
    """Read a report back."""
    report: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return report


def _tables(report: dict[str, object]) -> str:
    """Return one small table for every figure that is split into groups."""
    tables = []
    for name, groups in report.items():
        if not isinstance(groups, dict):
            continue
        rows = "\n".join(
            f"| {group.split(': ')[-1]} | {share:.3f} | {count} |" for group, (share, count) in groups.items()
        )
        tables.append(f"| {name.replace('_', ' ')} | | tiles |\n|---|---|---|\n{rows}")
    return "\n\n".join(tables)
