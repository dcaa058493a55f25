"""Write the number of heads into an ONNX graph, layer by layer, so that attention can be fused.

transformers reshapes queries to [batch, token, -1, head_dim]. ONNX Runtime's fusion reads the
number of heads from that shape, finds -1, and either takes one number for all layers or fuses
nothing. But the number is there: the width of the projection before the reshape over head_dim.
Written in, layers with different head counts fuse like any others.
"""

from collections import Counter
from typing import Any

import numpy as np


def name_heads(model: Any) -> int:
    """Replace the -1 in every reshape of a projection to heads, in place.

    Args:
        model: An `onnx.ModelProto` as the TorchScript exporter writes it.

    Returns:
        How many reshapes were given their number: three for each layer of a BERT.
    """
    from onnx import numpy_helper

    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    named = 0
    for node in [node for node in graph.node if node.op_type == "Reshape"]:
        shape = makers.get(node.input[1])
        width = _projected_width(node.input[0], makers, weights)
        if shape is None or width is None or shape.op_type != "Concat" or len(shape.input) != 4:
            continue
        heads, head_dim = (_constant(name, makers, weights) for name in shape.input[2:])
        if heads is None or head_dim is None or int(heads.item()) != -1:
            continue
        value = np.array([width // int(head_dim.item())], dtype=np.int64)
        tensor = numpy_helper.from_array(value, f"{shape.output[0]}_heads")
        graph.initializer.append(tensor)
        shape.input[2] = tensor.name
        named += 1
    _drop_unused_constants(graph)
    return named


def _projected_width(name: str, makers: dict[str, Any], weights: dict[str, Any]) -> int | None:
    """The output width of the linear layer that makes `name`: Add(MatMul(x, weight), bias)."""
    product = makers.get(name)
    if product is not None and product.op_type == "Add":
        inputs = [makers[part] for part in product.input if part in makers]
        product = next((part for part in inputs if part.op_type == "MatMul"), None)
    if product is None or product.op_type != "MatMul" or product.input[1] not in weights:
        return None
    return int(weights[product.input[1]].dims[-1])


def _constant(name: str, makers: dict[str, Any], weights: dict[str, Any]) -> np.ndarray | None:
    from onnx import numpy_helper

    if name in weights:
        return numpy_helper.to_array(weights[name])
    node = makers.get(name)
    if node is None or node.op_type != "Constant":
        return None
    return numpy_helper.to_array(node.attribute[0].t)


def _drop_unused_constants(graph: Any) -> None:
    uses = Counter(name for node in graph.node for name in node.input)
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        if not uses[node.output[0]]:
            graph.node.remove(node)
