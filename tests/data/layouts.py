"""Miniatures of public data sets in their own layouts: made-up pictures and sentences, no downloaded file.

Each maker writes a data set of a few pairs and returns what a reader should find there: `{uid: (split, changed,
captions)}`. Pictures are told apart by their colour, so a test can see which one came first.
"""

import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image

SIZE = (16, 12)
BEFORE, AFTER = (200, 10, 10), (10, 10, 200)


def picture(path, colour=BEFORE, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def pair(first, second):
    picture(first, BEFORE)
    picture(second, AFTER)


def mask(path, *, changed, colour=None, ground=0):
    """A mask, or labels in colour, with one changed corner."""
    width, height = SIZE
    shape = (height, width) if colour is None else (height, width, 3)
    pixels = np.full(shape, ground, dtype=np.uint8)
    if changed:
        pixels[:4, :4] = 255 if colour is None else colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def karpathy(items):
    return {
        "images": [
            {
                "filepath": split,
                "filename": name,
                "split": split,
                "imgid": number,
                "sentids": [],
                "changeflag": int(changed),
                "sentences": [{"raw": text, "tokens": text.split()} for text in captions],
            }
            for number, (name, split, changed, captions) in enumerate(items)
        ]
    }


ITEMS = [
    ("train_000001.png", "train", False, ["there is no difference", "no change has occurred"]),
    ("train_000002.png", "train", True, ["a house appears ", " two  roads\u00a0are built"]),
    ("test_000001.png", "test", True, ["trees disappear"]),
]
FOUND = {
    name.removesuffix(".png"): (split, changed, [" ".join(text.split()) for text in captions])
    for name, split, changed, captions in ITEMS
}


def levir_cc(root):
    save(root / "LevirCCcaptions.json", karpathy(ITEMS))
    for name, split, *_ in ITEMS:
        pair(root / "images" / split / "A" / name, root / "images" / split / "B" / name)
    return FOUND


def levir_mci(root):
    for name, split, changed, _ in ITEMS:
        mask(root / "images" / split / "label" / name, changed=changed)
    return levir_cc(root)


def whu_cdc(root):
    levir_cc(root)
    (root / "LevirCCcaptions.json").rename(root / "WHU_CDC_anything.json")
    return FOUND


def second_cc(root):
    save(root / "SECOND-CC-AUG.json", karpathy(ITEMS))
    for name, split, changed, _ in ITEMS:
        pair(root / split / "rgb" / "A" / name, root / split / "rgb" / "B" / name)
        for date in "AB":
            mask(root / split / "sem" / date / name, changed=changed, colour=(0, 255, 0), ground=255)
    return {f"{split}/{name.removesuffix('.png')}": FOUND[name.removesuffix(".png")] for name, split, *_ in ITEMS}


def sysu_cd(root):
    found = {}
    for split in ("train", "val", "test"):
        for number, changed in enumerate((True, False)):
            name = f"{number:05d}.png"
            pair(root / split / "time1" / name, root / split / "time2" / name)
            mask(root / split / "label" / name, changed=changed)
            found[f"{split}/{number:05d}"] = (split, changed, [])
    return found


def second(root):
    found = {}
    for split in ("train", "test"):
        for number, changed in enumerate((True, False)):
            name = f"{number:05d}.png"
            pair(root / split / "im1" / name, root / split / "im2" / name)
            mask(root / split / "label1" / name, changed=changed, colour=(0, 255, 0), ground=255)
            mask(root / split / "label2" / name, changed=changed, colour=(128, 0, 0), ground=255)
            found[f"{split}/{number:05d}"] = (split, changed, [])
    return found


def dubai_cc(root):
    sentences = {
        "train": [("1.tif", ["a road appears in the desert", "an island has been built"])],
        "val": [("2.tif", ["No change happened here.", "nothing has changed"])],
        "test": [("3.tif", ["villas replace the sand"])],
    }
    found = {}
    for split, word in (("train", "Train"), ("val", "Validation"), ("test", "Test")):
        content = karpathy([(name, split, True, captions) for name, captions in sentences[split]])
        for item in content["images"]:
            del item["changeflag"], item["filepath"], item["split"]
        save(root / "description_jsontr_te_val" / f"{word}_Dubai_CC.json", content)
        for name, captions in sentences[split]:
            folder = root / "imgs_tiles" / "RGB"
            pair(folder / "500_2000" / name, folder / "500_2010" / name)
            found[f"{split}/{name.removesuffix('.tif')}"] = (split, split != "val", captions)
    return found


def rscc(root):
    lines, found = [], {}
    for number in range(3):
        pre, post = f"EBD/images/{number}_pre_disaster.png", f"EBD/images/{number}_post_disaster.png"
        pair(root / pre, root / post)
        lines.append(json.dumps({"pre_image": pre, "post_image": post, "change_caption": f"houses {number} collapsed"}))
        split = "test" if number == 2 else "train"
        found[post.removesuffix(".png")] = (split, True, [f"houses {number} collapsed"])
    (root / "RSCC_qvq.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "test_set.txt").write_text("EBD/images/2_pre_disaster.png\n", encoding="utf-8")
    return found


def changesim(root):
    found = {}
    for split, folder, house in (
        ("train", "Query_Seq_Train", "Warehouse_0"),
        ("test", "Query_Seq_Test", "Warehouse_6"),
    ):
        for number, changed in enumerate((True, False)):
            sequence = root / folder / house / f"Seq_{number}"
            pair(sequence / "t0" / "rgb" / "7.png", sequence / "rgb" / "7.png")
            mask(sequence / "change_segmentation" / "7.png", changed=changed, colour=(255, 0, 0))
            found[f"{split}/{house}/Seq_{number}/7"] = (split, changed, [])
        # The same in smoke or in the dark, which the authors' loader leaves out.
        pair(root / folder / house / "Seq_0_dust" / "rgb" / "7.png", root / folder / "x.png")
    return found


def clevr_change(root):
    found, changes, same = {}, {}, {}
    for number, split in ((0, "train"), (1, "val"), (2, "test")):
        name = f"{number:06d}.png"
        picture(root / "images" / f"CLEVR_default_{name}", BEFORE)
        picture(root / "sc_images" / f"CLEVR_semantic_{name}", AFTER)
        picture(root / "nsc_images" / f"CLEVR_nonsemantic_{name}", AFTER)
        changes[f"CLEVR_default_{name}"] = [f"the cube {number} moved", "the cube is elsewhere"]
        same[f"CLEVR_default_{name}"] = ["nothing changed"]
        found[f"semantic_{number:06d}"] = (split, True, changes[f"CLEVR_default_{name}"])
        found[f"nonsemantic_{number:06d}"] = (split, False, ["nothing changed"])
    save(root / "change_captions.json", changes)
    save(root / "no_change_captions.json", same)
    save(root / "splits.json", {"train": [0], "val": [1], "test": [2]})
    return found


def image_editing_request(root):
    found = {}
    for split, file in (("train", "train"), ("val", "valid"), ("test", "test")):
        pair(root / "images" / f"{split}_a.jpg", root / "images" / f"{split}_b.jpg")
        sents = [f"make the {split} sky bluer"]
        save(
            root / f"{file}.json",
            [{"uid": f"Imag_{split}", "img0": f"{split}_a.jpg", "img1": f"{split}_b.jpg", "sents": sents}],
        )
        found[f"Imag_{split}"] = (split, True, sents)
    return found


def spot_the_diff(root):
    found = {}
    for split, number in (("train", 10), ("val", 20), ("test", 30)):
        pair(root / "resized_images" / f"{number}.png", root / "resized_images" / f"{number}_2.png")
        save(
            root / "annotations" / f"{split}.json",
            [
                {"img_id": f"{number}", "sentences": ["a car is gone", "a man stands at the door"]},
                {"img_id": f"{number}", "sentences": [f"the {split} car has left"]},
            ],
        )
        found[f"{number}"] = (split, True, ["a car is gone", "a man stands at the door", f"the {split} car has left"])
    return found


def stvchrono(root):
    content, found = {}, {}
    for split in ("train", "test"):
        ids = [f"{split}_a", f"{split}_b"]
        pair(root / "panoramas" / f"{ids[0]}.jpg", root / "panoramas" / f"{ids[1]}.jpg")
        texts = ["B is greener than A . ", "B is greener than A . ", "A has a car but not B . "]
        content[split] = [{"city": "adelaide", "images_IDs": ids, "change_caption": text} for text in texts]
        found["_".join(ids)] = (split, True, ["B is greener than A .", "A has a car but not B ."])
    save(root / "stvchrono_v1_continual-change-captioning_image-pair.json", content)
    return found


def encoded(colour):
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, colour).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def vismin_rows():
    return [
        {
            "image_id": "e1",
            "image": encoded(AFTER),
            "caption": "a blue cup",
            "source_image_id": "o1",
            "category": "attribute",
        },
        {"image_id": "o1", "image": encoded(BEFORE), "caption": "a red cup", "source_image_id": "", "category": ""},
        {
            "image_id": "e2",
            "image": encoded(AFTER),
            "caption": "two cups",
            "source_image_id": "o1",
            "category": "counting",
        },
    ]


def vismin(root, rows=None):
    folder = root / "data" / "train"
    folder.mkdir(parents=True)
    # The edit comes before its original, as it may over the shards of the real set.
    for number, part in enumerate(np.array_split(np.array(rows or vismin_rows(), dtype=object), 2)):
        table = pa.Table.from_pylist(list(part))
        path = str(folder / f"data-{number:05d}-of-00002.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    return {
        "e1": ("train", True, ['the picture has changed from "a red cup" to "a blue cup"']),
        "e2": ("train", True, ['the picture has changed from "a red cup" to "two cups"']),
    }


def levir_cd(root):
    found = {}
    for split in ("train", "val", "test"):
        for number, changed in enumerate((True, False)):
            name = f"{split}_{number}.png"
            pair(root / "A" / name, root / "B" / name)
            mask(root / "label" / name, changed=changed)
            found[f"{split}_{number}"] = (split, changed, [])
    return found


BANDS = [f"B{number:02d}" for number in range(1, 13)] + ["B8A"]


def oscd(root):
    prefix = "Onera Satellite Change Detection dataset - "
    found = {}
    for split, region in (("train", "abudhabi"), ("test", "brasilia")):
        folder = root / f"{prefix}Images" / region
        pair(folder / "pair" / "img1.png", folder / "pair" / "img2.png")
        (folder / "dates.txt").write_text("date_1: 20160120\ndate_2: 20180328\n", encoding="utf-8")
        for date in (1, 2):
            (folder / f"imgs_{date}_rect").mkdir()
            for band in BANDS:
                (folder / f"imgs_{date}_rect" / f"{band}.tif").touch()
        mask(root / f"{prefix}{split.capitalize()} Labels" / region / "cm" / "cm.png", changed=True)
        found[region] = (split, True, [])
    return found


def xview2(root):
    found = {}
    for split in ("train", "test"):
        for number, damage in enumerate((3, 1)):
            name = f"flood_{split}_{number:08d}"
            folder = root / split / "images"
            pair(folder / f"{name}_pre_disaster.png", folder / f"{name}_post_disaster.png")
            for date, value in (("pre", 1), ("post", damage)):
                target = root / split / "targets" / f"{name}_{date}_disaster_target.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full(SIZE[::-1], value, dtype=np.uint8)).save(target)
            found[name] = (split, damage > 1, [])
    return found


MAKERS = {
    "changesim": changesim,
    "clevr-change": clevr_change,
    "dubai-cc": dubai_cc,
    "image-editing-request": image_editing_request,
    "levir-cc": levir_cc,
    "levir-cd": levir_cd,
    "levir-mci": levir_mci,
    "oscd": oscd,
    "rscc": rscc,
    "second": second,
    "second-cc": second_cc,
    "spot-the-diff": spot_the_diff,
    "stvchrono": stvchrono,
    "sysu-cd": sysu_cd,
    "vismin": vismin,
    "whu-cdc": whu_cdc,
    "xview2": xview2,
}
