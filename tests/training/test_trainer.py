"""The trainer against the reference's golden loss, and its way to the best checkpoint."""

import pytest
import torch
from support import golden, tiny_ccexpert, training
from support.golden import Golden
from support.training import config

from geocc.errors import InputError
from geocc.model import load_checkpoint
from geocc.training import CaptionEvaluation, CCExpertTrainer, Evaluation, set_trainable, train
from geocc.training.data import evaluation_records
from geocc.training.generation import check_evaluation, score

FOLDER = golden.ROOT / "public"


class Anything:
    """Three samples, whatever is asked for: the batch is made elsewhere."""

    def __len__(self):
        return 3

    def __getitem__(self, place):
        return place


@pytest.mark.shared
@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/parity")
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_loss_of_the_first_step_is_the_golden_loss(tmp_path, stage):
    data = Golden(FOLDER)
    model = load_checkpoint(FOLDER / "checkpoint", vision_config=FOLDER / "vision_tower", dtype="float32").model
    batch = data.batch(model.config) | {"pixel_values": data.pixel_values()}
    recipe = {"stage": stage, "batch_size": 3, "micro_batch_size": 3, "max_steps": 1}
    settings = config("parity", "unused", tmp_path, recipe=recipe)
    set_trainable(model, settings.recipe.train)
    trainer = CCExpertTrainer(
        model,
        settings,
        processor=tiny_ccexpert.make()[1],
        train_dataset=Anything(),
        data_collator=lambda _: dict(batch, record_ids=["a", "b", "c"]),
    )
    trainer.train()
    (first,) = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert first == pytest.approx(data.expected["loss"].item(), abs=1e-5)


def test_the_best_checkpoint_is_the_result(base, records, tmp_path):
    held_out = training.save_records(tmp_path / "val", 4, split="val", seed=1)
    evaluation = {
        "records": str(held_out),
        "metrics": ["bleu", "rouge", "cider"],
        "best": "ROUGE-L",
        "max_new_tokens": 12,
    }
    settings = config(base, records, tmp_path / "run", evaluation=evaluation, recipe={"max_steps": 4})
    result = train(settings)
    figures = {line["step"]: line["eval_ROUGE-L"] for line in result.log if "eval_ROUGE-L" in line}
    assert set(figures) == {2, 4}
    assert result.best == max(figures.values())
    best = max(figures, key=lambda step: (figures[step], -step))
    kept = load_checkpoint(settings.output / f"checkpoint-{best}").model.state_dict()
    assert all(
        torch.equal(value, kept[name]) for name, value in load_checkpoint(result.folder).model.state_dict().items()
    )
    assert any("eval_accuracy" in line for line in result.log)


def test_captions_are_scored_as_geocc_evaluation_scores_them(tmp_path):
    records = evaluation_records(Evaluation(records=training.save_records(tmp_path, 4)))
    settings = Evaluation(records=tmp_path, metrics=("bleu", "rouge", "cider"), best="CIDEr")
    perfect = score([(record, record.change_caption[0]) for record in records], settings)
    assert perfect["ROUGE-L"] == pytest.approx(100)
    assert perfect["accuracy"] == pytest.approx(100)
    assert perfect["changed/ROUGE-L"] == pytest.approx(100)


def test_two_processes_share_the_records_and_each_counts_once(tmp_path):
    records = evaluation_records(Evaluation(records=training.save_records(tmp_path, 5)))
    settings = Evaluation(records=tmp_path, max_new_tokens=3, batch_size=2)
    model, processor = tiny_ccexpert.make()
    evaluation = CaptionEvaluation(records, processor, settings=settings)

    class Share:
        num_processes = 2

        def __init__(self, index):
            self.process_index = index

    class Quiet(CaptionEvaluation):
        def _write(self, model, numbers, *, synced):
            assert synced
            return super()._write(model, numbers, synced=False)

    evaluation = Quiet(records, processor, settings=settings)
    shares = [evaluation._write_share(model, Share(index)) for index in range(2)]
    assert len(shares[0]) == len(shares[1]) == 3
    assert {number for share in shares for number, _ in share} == set(range(5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"best": "S*m", "metrics": ("bleu",)}, "needs cider, meteor, rouge"),
        ({"best": "SPICE"}, "expected one of S\\*m"),
    ],
)
def test_a_figure_that_cannot_be_had_is_refused_before_the_first_step(settings, message):
    with pytest.raises(InputError, match=message):
        check_evaluation(Evaluation(records="v.json", **settings))
