//! A controller that lists every pod before it answers its health endpoint.

fn main() {}
