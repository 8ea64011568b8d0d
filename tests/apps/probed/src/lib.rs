//! What `probed` does over its life, as its command line says it. Tests write command lines with these types.
//!
//! The program stands in for any container that probes look at: ports that are closed, bound but silent, slow or sick
//! at given times, an own exit, and any reaction to SIGTERM. All of it depends on the clock alone, so that what the
//! kubelet makes of it can be predicted.
//!
//! What may not go in: anything that knows the kubelet's rules or ProbePolicy.

mod script;

pub use script::{Answer, BadScript, OnSigterm, OwnExit, Piece, Script};

/// Port of HTTP (and of whoever only connects).
pub const HTTP_PORT: u16 = 8080;
/// Port of the gRPC health service.
pub const GRPC_PORT: u16 = 9090;
