"""A tiny base model and a few records, made once."""

import pytest
from support import training


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return training.save_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    return training.save_records(tmp_path_factory.mktemp("data"))
