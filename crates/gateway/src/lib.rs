//! The Open Inference Protocol, version 2, over REST and gRPC, in front of whatever runs models.
//!
//! ```text
//! a program ──HTTP, gRPC──▶ rest, grpc ──▶ dyn Models ──▶ whatever runs them
//! ```
//!
//! Requests come in the protocol's two forms (`rest.rs` and `grpc.rs`, on one port), and are [`Tensor`]s from there on. Who
//! may ask for what is [`keys`]; how many are served at once is [`Options::waiting`]. What runs the models is a [`Models`],
//! which the caller brings; it hears when whoever asked has gone ([`Stop`]). For people there is a page, where the caller brings what that needs: a [`Page`].
//!
//! Sources: the [specification](https://github.com/kserve/open-inference-protocol) of KServe, and NVIDIA's extension for
//! [binary tensors](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md), which
//! its clients use unless they are told not to.

mod access;
mod failure;
mod grpc;
mod json;
pub mod keys;
mod messages;
mod models;
mod page;
mod rest;
mod server;
mod slow;
mod state;
mod stop;
mod tensor;

pub use failure::Failure;
pub use json::read_request;
pub use models::{Answer, Model, Models, TensorSpec};
pub use page::{
    Described, Event, Exchanged, Input, Layer, Page, Parties, Party, Ran, Upload, Watch, uploads,
};
pub use server::{Options, ServeError, Tls, asked_to_stop, serve};
pub use stop::Stop;
pub use tensor::{Datatype, Tensor, TensorError};
