//! Stories told to the whole of `decide`, against a workload that is really patched.

mod admission;
mod advice;
mod conflicts;
mod contests;
mod going;
mod handler;
mod lbc;
mod learning;
mod lower;
mod obstacles;
mod owners;
mod properties;
mod raises;
mod stuck;
mod targets;
mod windows;
