"""A server of an exported folder under FastAPI: threads, a time limit per call, errors per text.

MODEL=lean/model uvicorn --app-dir examples serve:app --workers 2

A predictor may be used from any number of threads. `threads=1` lets each request be computed by one
core, which answers most requests per second; requests beyond `concurrency` wait for their turn.
"""

import asyncio
import dataclasses
import os

from fastapi import FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

import leanformer

SECONDS = float(os.environ.get("SECONDS_PER_CALL", "5"))

predictor = leanformer.load(os.environ["MODEL"], threads=1)
app = FastAPI()


class Request(BaseModel):
    """Texts to be answered; their number bounds what one call may cost."""

    texts: list[str] = Field(max_length=64)


@app.post("/predict")
async def predict(request: Request) -> list[dict[str, object]]:
    """One answer per text, in order; a text that cannot be read is answered with its error."""
    call = run_in_threadpool(predictor.predict, request.texts, errors="return")
    try:
        answers = await asyncio.wait_for(call, SECONDS)
    except TimeoutError:
        raise HTTPException(503, f"no answer within {SECONDS:g} s; try again") from None
    return [dataclasses.asdict(answer) for answer in answers]
