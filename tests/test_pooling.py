"""What a head reads: `base.pooling`."""

from __future__ import annotations

import pytest
import torch

from adaptox import model
from adaptox.config import AdapterConfig, BaseConfig
from adaptox.errors import BaseModelError
from adaptox.labels import LabelSet

TOXICITY = LabelSet(("toxicity",))
IDS = torch.tensor([[2, 20, 30, 40, 50, 3], [2, 60, 3, 0, 0, 0]])
MASK = (IDS > 0).long()

pytestmark = pytest.mark.filterwarnings("error")


def load(folder, **settings):
    return model.load_base(BaseConfig(name=str(folder), **settings), TOXICITY, 0)


def logits_of(network, ids=IDS, mask=MASK):
    with torch.no_grad():
        return network.eval()(input_ids=ids, attention_mask=mask).logits


def test_mean_reads_all_tokens_but_no_padding(tiny_bert):
    network = load(tiny_bert, pooling="mean").network.eval()
    with torch.no_grad():
        hidden = load(tiny_bert).network.eval().bert(input_ids=IDS, attention_mask=MASK).last_hidden_state
        means = torch.stack([row[mask.bool()].mean(dim=0) for row, mask in zip(hidden, MASK, strict=True)])
        expected = network.classifier(means)
    torch.testing.assert_close(logits_of(network), expected)
    torch.testing.assert_close(logits_of(network, IDS[1:, :3], MASK[1:, :3]), expected[1:])
    assert not [name for name, _ in network.named_parameters() if "pooler" in name]
    assert not torch.allclose(logits_of(load(tiny_bert).network), expected)
    assert (model.pooling_of(network), model.pooling_of(load(tiny_bert).network)) == ("mean", "own")


def test_who_calls_the_network_may_leave_out_the_mask_and_ask_for_more(tiny_bert):
    network = load(tiny_bert, pooling="mean").network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(input_ids=IDS[:1]).logits, logits_of(network, IDS[:1], MASK[:1]))
        told = network(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
    torch.testing.assert_close(told.logits, logits_of(network))
    assert len(told.hidden_states) == network.config.num_hidden_layers + 1


@pytest.mark.parametrize("kind", ["none", "lora", "ia3", "prompt"])
def test_what_was_trained_with_mean_keeps_it(tiny_bert, tmp_path, kind):
    config = AdapterConfig(kind=kind, prompt_tokens=2)
    base = model.with_prompt(load(tiny_bert, pooling="mean"), config, 0)
    attached = model.attach(base.network, config, 0, base.prompt)
    attached(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    without = [name for name, weight in attached.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not without  # several processes would wait for their gradients
    model.save(attached, tmp_path / "saved")
    base.tokenizer.save(str(tmp_path / "saved" / "tokenizer.json"))
    trained = logits_of(model.merge(attached))
    torch.testing.assert_close(logits_of(model.reload(tmp_path / "saved")), trained)
    torch.testing.assert_close(logits_of(load(tmp_path / "saved").network), trained)


def test_a_head_that_read_the_first_token_can_go_on_with_the_mean(toxic_bert):
    own, mean = load(toxic_bert), load(toxic_bert, pooling="mean")
    assert dict(own.warm) == dict(mean.warm) == {"toxicity": "toxic"}
    torch.testing.assert_close(own.network.classifier.weight, mean.network.classifier.weight)


def test_modernbert_pools_by_a_setting_of_its_own(base_of):
    assert load(base_of("modernbert"), pooling="mean").network.config.classifier_pooling == "mean"


def test_a_head_that_reads_the_first_token_from_within_is_refused(base_of):
    with pytest.raises(BaseModelError, match=r"type bert or modernbert for base\.pooling = 'mean', got 'roberta'"):
        load(base_of("roberta"), pooling="mean")
