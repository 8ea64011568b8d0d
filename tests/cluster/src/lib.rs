//! A real local Kubernetes for tests, the demo and benchmarks.
