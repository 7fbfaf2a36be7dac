//! What reports are made of: numbers and times for people, tables of text, charts.

pub mod columns;
pub mod names;
pub mod network;
pub mod table;
pub mod time;
