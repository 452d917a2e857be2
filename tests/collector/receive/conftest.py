import pytest
from receivers import TRANSPORTS, Sender, receiving


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    with receiving(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(params=TRANSPORTS)
def sender(request, receiver):
    return Sender(receiver, request.param)
