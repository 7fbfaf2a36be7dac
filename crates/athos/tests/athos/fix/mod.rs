//! The fixed-point step: small graphs, compiled and run in a naive executor, against the float
//! interpreter.

mod beyond;
mod bounds;
mod columns;
mod executor;
mod flags;
mod graphs;
mod hidden;
mod ids;
mod integers;
mod judged;
mod labels;
mod near_zero;
mod property;
mod refused;
mod repeated;
mod secret;
mod skipped;
mod small;
mod ties;
mod widths;
