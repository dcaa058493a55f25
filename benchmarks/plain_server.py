"""The server that `server.py` compares with: FastAPI, and one call of the predictor per request.

python benchmarks/plain_server.py FOLDER PORT THREADS     (0 = all cores per call)
"""

import dataclasses
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import leanformer

FOLDER, PORT, THREADS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
predictor = leanformer.load(FOLDER, threads=THREADS or None)
app = FastAPI()


class Request(BaseModel):
    """Texts to be answered."""

    texts: list[str]


@app.get("/health")
def health() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "live"}


@app.post("/predict")
def predict(request: Request) -> dict[str, object]:
    """Answer each text; FastAPI runs this in one of its forty threads."""
    return {"answers": [dataclasses.asdict(one) for one in predictor.predict(request.texts)]}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning", access_log=False)
