"""How good captions are: the metrics of the published tables, and what these hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.evaluation import benchmarks
    from geocc.evaluation.benchmark import BenchmarkResult, run_benchmark
    from geocc.evaluation.evaluate import evaluate
    from geocc.evaluation.java import find_java
    from geocc.evaluation.layer import LayerEvaluation, evaluate_layer
    from geocc.evaluation.meteor import stop_meteor
    from geocc.evaluation.readers import read_predictions, read_references
    from geocc.evaluation.records import Prediction, Reference
    from geocc.evaluation.result import Evaluation

__all__ = [
    "BenchmarkResult",
    "Evaluation",
    "LayerEvaluation",
    "Prediction",
    "Reference",
    "benchmarks",
    "evaluate",
    "evaluate_layer",
    "find_java",
    "read_predictions",
    "read_references",
    "run_benchmark",
    "stop_meteor",
]

# pandas and the scorers stay out until something is evaluated.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["benchmarks"],
    submod_attrs={
        "benchmark": ["BenchmarkResult", "run_benchmark"],
        "evaluate": ["evaluate"],
        "java": ["find_java"],
        "layer": ["LayerEvaluation", "evaluate_layer"],
        "meteor": ["stop_meteor"],
        "readers": ["read_predictions", "read_references"],
        "records": ["Prediction", "Reference"],
        "result": ["Evaluation"],
    },
)
