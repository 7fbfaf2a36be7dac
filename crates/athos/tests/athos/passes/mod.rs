//! The passes: each on the graphs that it is for, and all of them on random ones.

mod average_into_conv;
mod average_into_weights;
mod dead_nodes;
mod endless;
mod factor_into_weights;
mod fold_arithmetic;
mod fold_batch_norm;
mod fold_constants;
mod harness;
mod inverse_root;
mod limits;
mod log_softmax;
mod padding_into_conv;
mod pick_early;
mod recognise;
mod relu_after_max_pool;
mod remove_identities;
mod sign_of_product;
mod sorted;
mod transposes;
