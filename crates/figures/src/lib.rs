//! What reports are made of: numbers for people, tables of text, charts.

pub mod columns;
pub mod network;
pub mod table;
