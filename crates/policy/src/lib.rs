//! Pure decisions: rules to need, facts to verdicts, need to probes.
