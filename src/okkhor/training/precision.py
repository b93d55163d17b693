"""`trainer.precision=auto`: bfloat16 where the device that trains computes with it, float32 elsewhere."""

import torch

CPU = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # instructions that multiply bfloat16, by torch's names


def fitting_precision(accelerator: str) -> tuple[str, str]:
    """Lightning's word for the fastest precision that needs no scaling of the loss, and why: ("bf16-mixed", "…").

    accelerator: of the trainer group. A processor without such instructions computes bfloat16 slower than float32.
    """
    if accelerator == "auto":
        found = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        accelerator = next((name for name, there in found.items() if there), "cpu")
    if accelerator in ("gpu", "cuda"):
        known = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16-mixed", "this GPU computes with it") if known else ("32-true", "this GPU has no bfloat16")
    if accelerator == "cpu":
        abilities = torch.cpu.get_capabilities()
        name = next((name for name in CPU if abilities.get(name)), None)
        return ("bf16-mixed", f"this processor has {name}") if name else ("32-true", "this processor has no bfloat16")
    return "32-true", f"{accelerator} is best known with it"
