//! The result: a policy with comments, or one JSON object.

use super::measured::Measured;
use super::source::label;
use probepilot_api::{
    Apply, Behavior, CountSelector, CrashLoop, Limits, ProbePolicy, ProbePolicySpec, ScalingRule,
    StartRecord,
};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Starts shown in comments: the newest.
const MOST_SHOWN: usize = 12;

/// The policy as YAML, with what was measured as comments.
pub(super) fn yaml(policy: &ProbePolicy, measured: &Measured) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in comments(policy, measured) {
        let _ = writeln!(text, "{}", format!("# {line}").trim_end());
    }
    text.push_str(&serde_saphyr::to_string(&object(policy, measured)?)?);
    Ok(text)
}

/// Everything as JSON.
pub(super) fn json(policy: &ProbePolicy, measured: &Measured) -> anyhow::Result<String> {
    let starts: Vec<StartRecord> = measured.starts.iter().map(StartRecord::from).collect();
    let value = json!({
        "policy": object(policy, measured)?,
        "count": measured.count,
        "recommendedSeconds": measured.recommended.seconds,
        "points": measured.points,
        "starts": starts,
        "reason": measured.recommended.sentence(),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn comments(policy: &ProbePolicy, measured: &Measured) -> Vec<String> {
    let mut lines = vec![
        format!(
            "Measured by probepilot {}: starts of {} under policy {}.",
            env!("CARGO_PKG_VERSION"),
            policy.spec.target_ref.display(),
            label(policy)
        ),
        String::new(),
        format!(
            "{:<22} {:>10} {:>8}  outcome",
            "started",
            counted(&measured.driver),
            "seconds"
        ),
    ];
    let surplus = measured.starts.len().saturating_sub(MOST_SHOWN);
    lines.extend((surplus > 0).then(|| format!("... and {surplus} earlier ones")));
    lines.extend(measured.starts[surplus..].iter().map(|start| {
        format!(
            "{:<22} {:>10} {:>8}  {:?}",
            start.started_at.to_string(),
            start.count,
            start.seconds,
            start.outcome
        )
    }));
    lines.push(String::new());
    lines.extend(wrapped(&measured.recommended.sentence()));
    lines.push(String::new());
    lines.extend(wrapped(
        "The rule's points are what 95 % of starts are expected to need; what the operator writes is a quarter above the curve.",
    ));
    lines
}

fn counted(driver: &CountSelector) -> &str {
    &driver.resource
}

/// Lines of at most 100 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + word.len() >= 100 {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

/// The policy with the measured rule in the place of its own, without what the server fills in.
fn object(policy: &ProbePolicy, measured: &Measured) -> anyhow::Result<Value> {
    let rule = ScalingRule {
        count: measured.driver.clone(),
        interpolate: Some(measured.points.clone()),
        ..ScalingRule::default()
    };
    let status = policy.status.as_ref();
    let container = policy.spec.container_name.clone();
    let spec = ProbePolicySpec {
        rules: vec![rule],
        container_name: container.or_else(|| status?.container.clone()),
        ..policy.spec.clone()
    };
    let mut metadata = Map::new();
    for (key, value) in [
        ("name", &policy.metadata.name),
        ("namespace", &policy.metadata.namespace),
    ] {
        metadata.extend(value.clone().map(|value| (key.to_owned(), value.into())));
    }
    Ok(json!({
        "apiVersion": "probepilot.dev/v1alpha1",
        "kind": "ProbePolicy",
        "metadata": metadata,
        "spec": without_defaults(serde_json::to_value(spec)?)?,
    }))
}

/// A spec as people write it.
fn without_defaults(mut spec: Value) -> anyhow::Result<Value> {
    let defaults = [
        ("crashLoop", serde_json::to_value(CrashLoop::default())?),
        ("limits", serde_json::to_value(Limits::default())?),
        ("apply", serde_json::to_value(Apply::default())?),
        ("behavior", serde_json::to_value(Behavior::default())?),
    ];
    let count = serde_json::to_value(CountSelector::default())?;
    if let Some(fields) = spec.as_object_mut() {
        for (name, default) in defaults {
            if fields.get(name) == Some(&default) {
                fields.remove(name);
            }
        }
    }
    if let Some(rule) = spec.pointer_mut("/rules/0").and_then(Value::as_object_mut)
        && rule.get("count") == Some(&count)
    {
        rule.remove("count");
    }
    Ok(spec)
}
