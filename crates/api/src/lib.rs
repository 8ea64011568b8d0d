//! The ProbePolicy API, `probepilot.dev/v1alpha1`: types, defaults and the generated
//! CustomResourceDefinition.
//!
//! Types here are plain structs with options, as the schema has them; they become enums when
//! `probepilot-policy` parses them. No client, clock or I/O belongs in this crate.

mod timings;

pub use timings::ProbeTimings;
