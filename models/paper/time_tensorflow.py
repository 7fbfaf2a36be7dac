#!/usr/bin/env python3
"""Times TensorFlow on single examples: prints its version and the median seconds of some runs, after one that warms up.

    pip install tensorflow
    python3 models/paper/time_tensorflow.py NAME.pb NAME.npy [RUNS]

`cryptflow bench` runs this where TensorFlow is installed.
"""

import json
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    model, examples, runs = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 5
    nodes = v1.GraphDef.FromString(open(model, "rb").read())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(nodes, name="")
    used = {part.split(":")[0].lstrip("^") for node in nodes.node for part in node.input}
    outputs = [node.name + ":0" for node in nodes.node if node.name not in used and node.op != "NoOp"]
    inputs = [node.name + ":0" for node in nodes.node if node.op == "Placeholder"]
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    seconds = []
    with v1.Session(graph=graph, config=config) as session:
        for run in range(runs + 1):
            begun = time.perf_counter()
            session.run(outputs, {inputs[0]: examples[run % len(examples)][None]})
            seconds.append(time.perf_counter() - begun)
    print(json.dumps({"version": tf.__version__, "seconds": statistics.median(seconds[1:])}))


if __name__ == "__main__":
    main()
