"""Adapters through PEFT: attach, merge, save and load; and which weights are trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PeftModelForSequenceClassification,
    TaskType,
    TrainableTokensConfig,
)
from peft.utils import ModulesToSaveWrapper
from transformers import PreTrainedModel

from adaptox.config import AdapterConfig
from adaptox.errors import BaseModelError, ConfigError, nearest, storage_errors
from adaptox.model.architectures import Architecture, architecture
from adaptox.model.pooling import has_pooler
from adaptox.model.quiet import quiet

_GENERIC = ("query", "key", "value")
_ALL_LINEAR = "all-linear"


@dataclass(frozen=True, slots=True)
class TrainableShare:
    """How many parameters are trained.

    Attributes:
        trainable: parameters with a gradient.
        total: parameters of the network with its adapter; the copies that PEFT keeps of the untrained head and
            pooler are not counted.
    """

    trainable: int
    total: int

    @property
    def share(self) -> float:
        """Trainable / total."""
        return self.trainable / self.total


def attach(
    network: PreTrainedModel, config: AdapterConfig, seed: int = 0, prompt: tuple[int, ...] = ()
) -> torch.nn.Module:
    """Choose which weights are trained, and add an adapter if one is asked for.

    LoRA: arXiv 2106.09685; DoRA: 2402.09353; rsLoRA: 2312.03732; IA3: 2205.05638; prompt tuning: 2104.08691.

    Args:
        network: a base's network; it becomes part of what is returned.
        config: `kind` none makes all parameters trainable and reads nothing else. The generic targets query, key
            and value stand for the architecture's own modules; with IA3 for keys, values and the second layer of
            the feed-forward block, as in its paper.
        seed: of the adapter's weights. The global random state is left as it was.
        prompt: ids of the tokens whose embeddings kind ``prompt`` trains, from `with_prompt`.

    Returns:
        The network itself, or a PEFT model around it.

    Raises:
        ConfigError: a target that no linear module of the body is called by.
    """
    if config.kind == "none":
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        return network
    parts = architecture(network.config.model_type)
    pooler = [parts.pooler] if config.train_pooler and has_pooler(network, parts.pooler) else []
    saved = [*parts.head, *pooler]
    settings = _settings(network, config, parts, saved, prompt)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted: torch.nn.Module = PeftModelForSequenceClassification(network, settings)
    if not config.train_head:
        # PEFT saves and trains the head of every classifier; saving it is right, training it is not.
        for _, parameter in _head(adapted):
            parameter.requires_grad_(False)
    return adapted


def merge(network: torch.nn.Module) -> PreTrainedModel:
    """Give the plain classifier with the adapter's update inside its weights, in evaluation mode.

    Args:
        network: from `attach`. With an adapter it is left as it was; without one it is returned itself.
    """
    if not isinstance(network, PeftModel):
        plain = _classifier(network)
    else:
        adapted = copy.deepcopy(network)
        for name, module in list(adapted.named_modules()):
            if isinstance(module, ModulesToSaveWrapper):
                # PEFT's own unwrapping takes only single layers under IA3, and a pooler is more than one.
                adapted.set_submodule(name, module.modules_to_save[module.active_adapter])
        plain = _classifier(adapted.merge_and_unload())
    plain.eval()  # type: ignore[no-untyped-call]
    return plain


def save(network: torch.nn.Module, folder: Path) -> None:
    """Write config.json and model.safetensors, the adapter merged in.

    Args:
        network: from `attach`; left as it was.
        folder: made if absent.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(folder), quiet():
        # One file whatever its size: a bundle has no shards.
        merge(network).save_pretrained(folder, max_shard_size="1TB")


def save_adapter(network: torch.nn.Module, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors: the adapter, the head and the trained pooler.

    Args:
        network: from `attach`, with an adapter.
        folder: made if absent.

    Raises:
        StorageError: the disk refused.
    """
    if not isinstance(network, PeftModel):
        raise TypeError(f"expected a network with an adapter, got {type(network).__name__}")
    with storage_errors(folder):
        # "auto" would ask the hub whether the base's vocabulary was changed; it never is.
        network.save_pretrained(str(folder), save_embedding_layers=False)


def load_adapter(network: PreTrainedModel, folder: Path) -> torch.nn.Module:
    """Put a saved adapter around a base's network, in evaluation mode.

    Args:
        network: the network of the base that the adapter was trained on, with the same labels; it becomes part
            of what is returned.
        folder: written by `save_adapter`.

    Raises:
        BaseModelError: the folder holds no adapter, or one for another base.
    """
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).is_file():
            raise BaseModelError(f"{folder} holds no {file}: expected an adapter that adaptox saved")
    try:
        with quiet():
            adapted: torch.nn.Module = PeftModel.from_pretrained(network, str(folder))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise BaseModelError(
            f"the adapter in {folder} does not fit this base ({reason}): load the base that it was trained on"
        ) from error
    return adapted.eval()


def share(network: torch.nn.Module) -> TrainableShare:
    """Count the parameters that are trained."""
    sizes = [
        (parameter.numel(), parameter.requires_grad)
        for name, parameter in network.named_parameters()
        if ".original_module." not in name
    ]
    return TrainableShare(sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes))


def head_parameter_names(network: torch.nn.Module) -> frozenset[str]:
    """Name the trainable parameters of the classification head; the pooler is part of the body.

    Args:
        network: from `attach`.

    Returns:
        Names as in `network.named_parameters()`; none if the head is frozen.
    """
    return frozenset(name for name, parameter in _head(network) if parameter.requires_grad)


def _classifier(network: torch.nn.Module) -> PreTrainedModel:
    """Give the transformers model inside an adapter, or the network itself."""
    plain = network.get_base_model() if isinstance(network, PeftModel) else network
    if not isinstance(plain, PreTrainedModel):
        raise TypeError(
            f"expected a transformers classifier, with or without an adapter, got {type(plain).__name__}"
        )
    return plain


def _head(network: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Give the parameters that compute the logits; under an adapter, those it trains."""
    plain = _classifier(network)
    prefix = "base_model.model." if isinstance(network, PeftModel) else ""
    modules = tuple(f"{module}." for module in architecture(plain.config.model_type).head)
    for name, parameter in plain.named_parameters():
        if name.startswith(modules) and ".original_module." not in name:
            yield prefix + name, parameter


def _settings(
    network: PreTrainedModel, config: AdapterConfig, parts: Architecture, saved: list[str], prompt: tuple[int, ...]
) -> PeftConfig:
    if config.kind == "prompt":
        embeddings = network.get_input_embeddings()
        table = next(name for name, module in network.named_modules() if module is embeddings)
        return _PromptConfig(
            task_type=TaskType.SEQ_CLS, target_modules=[table], token_indices=list(prompt), modules_to_save=saved
        )
    targets = _targets(network, config, parts, saved)
    return _ia3(targets, saved, parts) if config.kind == "ia3" else _lora(targets, saved, config)


@dataclass
class _PromptConfig(TrainableTokensConfig):  # type: ignore[misc]  # PEFT is not typed
    """PEFT's training of single tokens, with a head and a pooler that are trained and saved as LoRA's are."""

    modules_to_save: list[str] | None = None


def _lora(targets: list[str], saved: list[str], config: AdapterConfig) -> PeftConfig:
    return LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        modules_to_save=saved,
        use_dora=config.kind == "dora",
        use_rslora=config.kind == "rslora",
    )


def _ia3(targets: list[str], saved: list[str], parts: Architecture) -> PeftConfig:
    return IA3Config(
        task_type=TaskType.SEQ_CLS,
        target_modules=targets,
        feedforward_modules=[name for name in targets if _is_feed_forward(name, parts)],
        modules_to_save=saved,
    )


def _targets(network: PreTrainedModel, config: AdapterConfig, parts: Architecture, saved: list[str]) -> list[str]:
    """Spell the targets out as whole module names, so that no suffix also hits the pooler or the head."""
    outside = tuple(f"{module}." for module in (*saved, parts.pooler) if module)
    linear = [
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and not f"{name}.".startswith(outside)
    ]
    if _ALL_LINEAR in config.targets:
        return linear
    if config.kind == "ia3" and config.targets == _GENERIC:
        keys_and_values = [name for name in linear if _is_called(name, parts.attention[1:])]
        return keys_and_values + [name for name in linear if _is_feed_forward(name, parts)]
    own = dict(zip(_GENERIC, parts.attention, strict=True))
    wanted = tuple(own.get(target, target) for target in config.targets)
    known = {name.rpartition(".")[2] for name in linear} | {_ALL_LINEAR}
    if not wanted:
        raise ConfigError(f"adapter.targets: expected at least one name, got none ({nearest('', known)})")
    for target in wanted:
        if not any(_is_called(name, (target,)) for name in linear):
            raise ConfigError(
                f"adapter.targets: the base has no linear module {target!r}: {nearest(target, known)}"
            )
    return [name for name in linear if _is_called(name, wanted)]


def _is_called(name: str, suffixes: tuple[str, ...]) -> bool:
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _is_feed_forward(name: str, parts: Architecture) -> bool:
    # BERT's attention ends in an output.dense of its own.
    return _is_called(name, (parts.feed_forward,)) and ".attention." not in name
