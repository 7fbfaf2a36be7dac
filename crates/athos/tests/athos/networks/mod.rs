//! What importers and passes make of models, against what TensorFlow and ONNX Runtime computed: the
//! small models of the importers' tests, and the networks of the shared data.

mod frozen_graphs;
mod onnx_networks;
mod saved_models;
mod shared;
#[path = "../../../../import/tests/import/small_models.rs"]
mod small_models;

#[test]
fn answers_of_small_models_stay() {
    for models in [small_models::frozen_graphs(), small_models::onnx_models(), small_models::saved_models()] {
        small_models::check(models, |graph| {
            cryptflow_athos::passes::optimise(graph);
        });
    }
}
