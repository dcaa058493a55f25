from leanformer.train.account import Account


def test_it_is_said_in_mebibytes() -> None:
    account = Account(weights=2**21, gradients=2**20, optimizer=0, activations=2**19)
    assert account.total == 2**21 + 2**20 + 2**19
    assert "weights             2.0 MiB" in str(account)
    assert str(account).endswith("total               3.5 MiB")
