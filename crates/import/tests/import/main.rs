//! The importers: models that other tools wrote, and models built here, node by node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checkpoints;
mod constants;
mod control;
mod graph_def;
mod onnx_errors;
mod onnx_ml;
mod saved_models;
mod small_files;
mod small_models;
mod tensorflow_edges;
mod tensorflow_errors;
mod tensorflow_operations;

use cryptflow_import::{from_path, survey};

#[test]
fn answers_are_those_of_tensorflow_and_onnx_runtime() {
    for models in [small_models::frozen_graphs(), small_models::onnx_models(), small_models::saved_models()] {
        small_models::check(models, |_| {});
    }
}

/// What a survey finds of a model that can be imported is what is imported: nothing else is an output.
#[test]
fn surveys_have_the_outputs_of_the_model() {
    for models in [small_models::frozen_graphs(), small_models::onnx_models(), small_models::saved_models()] {
        for model in models {
            let graph = from_path(&model.path, &model.options).unwrap();
            let found = survey(&model.path, &model.options).unwrap();
            assert_eq!(found.graph.output_names, graph.output_names, "{}", model.path.display());
        }
    }
}
