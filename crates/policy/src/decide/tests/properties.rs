//! What holds for every spec, target and history.

mod history;
mod paths;
mod strategies;
