//! The probepilot command: operator, CRD and offline tools.

fn main() {}
