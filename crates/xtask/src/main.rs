//! Developer commands: demo, test, cluster, gen, bench.

fn main() {}
