"""What a step measured before and after, and an error where its claim did not come true.

The commonest fault of compression tools is the silent no-op: a fusion that fused nothing, a
quantizer that skipped every layer, zeros that saved nothing. So a step returns what it made *and*
what it measured; `require` turns a claim that did not come true into an error.
"""

from dataclasses import dataclass


class NoEffect(ValueError):
    """A step did not do what it was asked to do."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One claim about a step, with what was measured.

    Attributes:
        claim: What should have changed, e.g. "encoder parameters".
        before: Measured before the step.
        after: Measured after it.
        unit: Unit of both.
        ok: Whether the claim came true.
        asked: What was asked for, where a number was.
        note: Why, or how it was measured.
    """

    claim: str
    before: float | None
    after: float
    unit: str
    ok: bool
    asked: float | None = None
    note: str = ""


def require(proofs: list[Proof]) -> list[Proof]:
    """`proofs`, if every claim came true.

    Raises:
        NoEffect: A claim did not come true; the message names each one.
    """
    failed = [proof for proof in proofs if not proof.ok]
    if failed:
        raise NoEffect("; ".join(_sentence(proof) for proof in failed))
    return proofs


def _sentence(proof: Proof) -> str:
    before = "" if proof.before is None else f"was {proof.before:g} and "
    asked = "" if proof.asked is None else f", asked for {proof.asked:g}"
    note = f" ({proof.note})" if proof.note else ""
    return f"{proof.claim}: {before}is {proof.after:g} {proof.unit}{asked}{note}".replace(" ,", ",")
