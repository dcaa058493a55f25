#!/bin/sh
# All GPUs of one machine. SIGTERM to torchrun ends the run after its step, with a checkpoint; called
# again, also with another number of processes, it goes on. A worker that dies is started again.
set -eu
exec torchrun --standalone --nproc-per-node "${GPUS:-gpu}" --max-restarts 3 \
  -m leanformer train "${1:-examples/pretraining/gpt2-small.toml}" --out "${2:-runs/gpt2-small}"
