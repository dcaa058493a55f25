import torch
from torch.autograd import gradcheck
from train.tasks.losses import check_parts_add_up, check_unknown_has_no_share

from leanformer.data.encode import next_tokens
from leanformer.models.tiny import tiny_model
from leanformer.tasks import IGNORE
from leanformer.train.tasks import CausalLmLoss, loss_of

LOSS = CausalLmLoss()
LOGITS = torch.randn((2, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([[3, 0, 2, IGNORE], [1, IGNORE, IGNORE, IGNORE]])


def test_it_is_the_loss_of_hugging_face_on_a_text() -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    ids = tokenizer("the film was slow, but the acting was wonderful!")["input_ids"]
    inputs = torch.tensor([ids])
    output = model.double()(input_ids=inputs, labels=inputs)
    labels = torch.tensor([next_tokens(ids)])
    mean = LOSS.total(output.logits, labels) / LOSS.known(labels).sum()
    theirs = output.loss.double()  # summed in fp32 there
    torch.testing.assert_close(mean, theirs, rtol=1e-6, atol=0)
    assert loss_of("causal-lm") == LOSS


def test_parts_add_up_and_what_is_unknown_has_no_share() -> None:
    assert LOSS.known(LABELS).sum() == 4
    check_parts_add_up(LOSS, LOGITS, LABELS)
    check_unknown_has_no_share(LOSS, LOGITS, torch.full_like(LABELS, IGNORE))


def test_gradients() -> None:
    assert gradcheck(lambda z: LOSS.total(z, LABELS), LOGITS.clone().requires_grad_())
