"""The one door to the attention layers of transformers models: they are observed and replaced here.

transformers calls an attention function by the name in a model's configuration. `interface` is our
function under our name; `observe` lists what each layer is given while a model runs, whatever
computes it; `probe` runs a model on a few tokens to find its layers and what they ask for.
"""
