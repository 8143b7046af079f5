"""The peers of our training loop: TRL's SFTTrainer and transformers' Trainer, at equal settings.

Each reads batches that were tokenised and put in order beforehand, the very ones our loop reads.
"""

import time
from collections.abc import Mapping, Sequence
from importlib import util
from typing import Any

from chmed_ner.train import Example

IGNORED = -100

SHARED = {
    "gradient_checkpointing": False,  # TRL's default is on: slower, less memory
    "train_sampling_strategy": "sequential",  # the batches are grouped by length beforehand
    "gradient_accumulation_steps": 1,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
    "optim": "adamw_torch_fused",
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}
"""What both peers are told, beside the recipe's numbers; `bf16` is chosen by trial."""

SFT = {"max_length": None, "completion_only_loss": True, "packing": False, "eval_strategy": "no"}


def absent() -> str:
    """Why TRL cannot take part; empty when it can."""
    if util.find_spec("trl") is None:
        return "trl is not installed; it is in the extra 'bench'"
    if util.find_spec("datasets") is None:
        return "the package datasets is not installed, which trl needs; see the extra 'bench'"
    return ""


class Watch:
    """The moment each optimiser step ended, and its loss."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def step(self) -> None:
        """An optimiser step is over, on a GPU too."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def settings(job: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The arguments of both trainers for a job of `steps` steps."""
    recipe = job["recipe"]
    on_cpu = job["device"] == "cpu"
    return {
        **SHARED,
        "use_cpu": on_cpu,
        "bf16": job["bf16"],
        "gradient_checkpointing": job.get("gradient_checkpointing", False),
        "per_device_train_batch_size": recipe["batch_size"],
        "max_steps": steps,
        "learning_rate": recipe["learning_rate"],
        "weight_decay": recipe["weight_decay"],
        "max_grad_norm": recipe["clip_norm"],
        "seed": job["seed"],
        "data_seed": job["seed"],
        "output_dir": job["scratch"],
    }


def backbone(job: Mapping[str, Any]) -> Any:
    """The job's backbone in its precision and on its device."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=getattr(torch, job["dtype"]), attn_implementation="sdpa"
    )
    return model.to(job["device"])


def adapted(model: Any, job: Mapping[str, Any]) -> Any:
    """`model` with fresh LoRA adapters in float32, PEFT's default.

    The generator is seeded as our regime seeds it, so every side starts from the same adapters.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    model.config.use_cache = False
    torch.manual_seed(job["seed"])
    recipe = job["recipe"]
    return get_peft_model(
        model,
        LoraConfig(
            r=recipe["rank"],
            lora_alpha=recipe["alpha"],
            lora_dropout=recipe["dropout"],
            target_modules=recipe["targets"],
            task_type="CAUSAL_LM",
        ),
    )


def train(
    model: Any, job: Mapping[str, Any], batches: Sequence[Sequence[Example]], watch: Watch
) -> None:
    """Let `job["peer"]` (trl or trainer) train `model`, one optimiser step for each batch."""
    from transformers import AutoTokenizer, TrainerCallback

    class Stamp(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.step()

    model, tokenizer = adapted(model, job), AutoTokenizer.from_pretrained(job["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    examples = [each for batch in batches for each in batch]
    build = _trl if job["peer"] == "trl" else _trainer
    trainer = build(model, tokenizer, examples, settings(job, len(batches)), Stamp())
    trainer.train()
    watch.losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _trl(
    model: Any, tokenizer: Any, examples: Sequence[Example], told: Mapping[str, Any], stamp: Any
) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": [*each.prompt, *each.answer],
            "completion_mask": [0] * len(each.prompt) + [1] * len(each.answer),
        }
        for each in examples
    ]
    return SFTTrainer(
        model=model,
        args=SFTConfig(**told, **SFT),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[stamp],
    )


def _trainer(
    model: Any, tokenizer: Any, examples: Sequence[Example], told: Mapping[str, Any], stamp: Any
) -> Any:
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = [
        {
            "input_ids": [*each.prompt, *each.answer],
            "attention_mask": [1] * (len(each.prompt) + len(each.answer)),
            "labels": [IGNORED] * len(each.prompt) + list(each.answer),
        }
        for each in examples
    ]
    return Trainer(
        model=model,
        args=TrainingArguments(**told),
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        callbacks=[stamp],
    )
