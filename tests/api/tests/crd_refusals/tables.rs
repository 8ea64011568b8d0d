//! Whatever can refuse a policy, written out: the schema is compared with these tables.

use serde_json::{Value, json};

/// Numbers: where, lowest and highest. `*` is the first item for the lowest and the second for the highest, since lists have to rise.
pub(crate) const NUMBERS: &[(&str, i64, i64)] = &[
    ("/spec/rules/0/steps/*/atLeast", 0, 1_000_000_000),
    ("/spec/rules/0/steps/0/startupSeconds", 1, 86_400),
    (
        "/spec/rules/0/steps/1/livenessProbe/initialDelaySeconds",
        0,
        86_400,
    ),
    ("/spec/rules/0/steps/1/livenessProbe/periodSeconds", 1, 3600),
    (
        "/spec/rules/0/steps/1/livenessProbe/timeoutSeconds",
        1,
        3600,
    ),
    (
        "/spec/rules/0/steps/1/livenessProbe/failureThreshold",
        1,
        10_000,
    ),
    ("/spec/rules/1/linear/baseSeconds", 0, 86_400),
    ("/spec/rules/1/linear/secondsPerThousand", 0, 86_400),
    ("/spec/rules/2/interpolate/*/count", 0, 1_000_000_000),
    ("/spec/rules/2/interpolate/0/startupSeconds", 1, 86_400),
    ("/spec/learning/headroomPercent", 0, 400),
    ("/spec/crashLoop/raisePercent", 10, 900),
    ("/spec/crashLoop/maxRaises", 1, 16),
    ("/spec/limits/minStartupSeconds", 1, 86_400),
    ("/spec/limits/maxStartupSeconds", 1, 86_400),
    (
        "/spec/behavior/raise/stabilizationWindowSeconds",
        0,
        604_800,
    ),
    ("/spec/behavior/raise/minIntervalSeconds", 0, 604_800),
    ("/spec/behavior/lower/tolerancePercent", 0, 100),
    (
        "/spec/behavior/lower/stabilizationWindowSeconds",
        0,
        604_800,
    ),
];

/// Strings: where, shortest (0: may be empty) and longest.
pub(crate) const TEXTS: &[(&str, usize, usize)] = &[
    ("/spec/targetRef/name", 1, 253),
    ("/spec/containerName", 1, 63),
    ("/spec/rules/0/count/group", 0, 253),
    ("/spec/rules/0/count/resource", 1, 63),
    ("/spec/rules/0/count/namespace", 0, 63),
];

/// A string of which a rule accepts one value only, so that its bound can be seen from outside alone.
pub(crate) const API_VERSION: (&str, usize) = ("/spec/targetRef/apiVersion", 253);

/// Lists: where, fewest (0: may be empty) and most items.
pub(crate) const LISTS: &[(&str, usize, usize)] = &[
    ("/spec/rules", 0, 8),
    ("/spec/rules/0/steps", 1, 16),
    ("/spec/rules/2/interpolate", 2, 16),
];

/// Fields with a list of values.
pub(crate) const VALUES: &[(&str, &[&str])] = &[
    (
        "/spec/targetRef/kind",
        &["Deployment", "StatefulSet", "DaemonSet"],
    ),
    ("/spec/mode", &["Observe", "Enforce"]),
    ("/spec/apply/probe", &["Startup", "Liveness"]),
    ("/spec/apply/onConflict", &["Auto", "Take", "Yield"]),
    ("/spec/apply/delivery", &["Template", "Admission"]),
    ("/spec/apply/onDelete", &["Keep", "Restore"]),
    ("/spec/behavior/raise/policy", &["Safe", "Always", "OnKill"]),
    ("/spec/behavior/lower/policy", &["Disabled", "Enabled"]),
];

/// Fields that cannot be left out.
pub(crate) const REQUIRED: &[&str] = &[
    "/spec/targetRef",
    "/spec/targetRef/apiVersion",
    "/spec/targetRef/kind",
    "/spec/targetRef/name",
    "/spec/rules/0/steps/0/atLeast",
    "/spec/rules/1/linear/baseSeconds",
    "/spec/rules/1/linear/secondsPerThousand",
    "/spec/rules/2/interpolate/0/count",
    "/spec/rules/2/interpolate/0/startupSeconds",
];

/// CEL rules: a name, the field that is replaced, what replaces it, the field that is refused, and the sentence.
pub(crate) type RuleCase = (
    &'static str,
    &'static str,
    Value,
    &'static str,
    &'static str,
);

#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn rules() -> Vec<RuleCase> {
    const FORM: &str = "give exactly one of steps, linear or interpolate in each rule; use a second rule for a second form";
    const STEPS: &str = "steps must rise strictly: sort them by atLeast and give each atLeast once";
    const POINTS: &str =
        "interpolate points must rise strictly: sort them by count and give each count once";
    const PLURAL: &str = "resource must be the plural name in lower case, as kubectl api-resources lists it: pods, services, ingresses";
    let line = json!({"baseSeconds": 30, "secondsPerThousand": 6});
    let rung = |at_least: i64| json!({"atLeast": at_least, "startupSeconds": 60});
    let point = |count: i64| json!({"count": count, "startupSeconds": 60});
    vec![
        (
            "another API",
            "/spec/targetRef/apiVersion",
            json!("argoproj.io/v1alpha1"),
            "spec.targetRef.apiVersion",
            "targetRef.apiVersion must be apps/v1: Deployments, StatefulSets and DaemonSets live there",
        ),
        ("no form", "/spec/rules/1", json!({}), "spec.rules[1]", FORM),
        (
            "two forms",
            "/spec/rules/1",
            json!({"linear": line, "steps": [rung(0)]}),
            "spec.rules[1]",
            FORM,
        ),
        (
            "three forms",
            "/spec/rules/1",
            json!({"linear": line, "steps": [rung(0)], "interpolate": [point(1), point(2)]}),
            "spec.rules[1]",
            FORM,
        ),
        (
            "falling steps",
            "/spec/rules/0/steps",
            json!([rung(5), rung(1)]),
            "spec.rules[0].steps",
            STEPS,
        ),
        (
            "a step twice",
            "/spec/rules/0/steps",
            json!([rung(1), rung(5), rung(5)]),
            "spec.rules[0].steps",
            STEPS,
        ),
        (
            "falling points",
            "/spec/rules/2/interpolate",
            json!([point(1), point(9), point(5)]),
            "spec.rules[2].interpolate",
            POINTS,
        ),
        (
            "a point twice",
            "/spec/rules/2/interpolate",
            json!([point(5), point(5)]),
            "spec.rules[2].interpolate",
            POINTS,
        ),
        (
            "an empty step",
            "/spec/rules/0/steps/0",
            json!({"atLeast": 0}),
            "spec.rules[0].steps[0]",
            "a step must set something: startupSeconds, livenessProbe or both",
        ),
        (
            "no timing",
            "/spec/rules/0/steps/0/livenessProbe",
            json!({}),
            "spec.rules[0].steps[0].livenessProbe",
            "livenessProbe must set a timing: initialDelaySeconds, periodSeconds, timeoutSeconds or failureThreshold",
        ),
        (
            "an empty line",
            "/spec/rules/1/linear",
            json!({"baseSeconds": 0, "secondsPerThousand": 0}),
            "spec.rules[1].linear",
            "linear must ask for something: set baseSeconds or secondsPerThousand above 0",
        ),
        (
            "secrets",
            "/spec/rules/0/count",
            json!({"resource": "secrets"}),
            "spec.rules[0].count",
            "secrets cannot be counted: the operator has no right to read them; count what the controller caches besides, for example configmaps or services",
        ),
        (
            "a kind for a resource",
            "/spec/rules/0/count/resource",
            json!("Pod"),
            "spec.rules[0].count.resource",
            PLURAL,
        ),
        (
            "a resource with its group",
            "/spec/rules/0/count/resource",
            json!("ingresses.networking.k8s.io"),
            "spec.rules[0].count.resource",
            PLURAL,
        ),
        (
            "a conflict without writes",
            "/spec/apply",
            json!({"delivery": "Admission", "onConflict": "Take"}),
            "spec.apply",
            "apply.onConflict is about timings that are declared in the workload, which delivery Admission never writes: leave onConflict out, or set delivery to Template",
        ),
        (
            "nothing to restore",
            "/spec/apply",
            json!({"delivery": "Admission", "onDelete": "Restore"}),
            "spec.apply",
            "apply.onDelete Restore puts back what was written to the workload, and delivery Admission writes nothing to it: leave onDelete out (without the policy new pods have the owner's probes), or set delivery to Template",
        ),
        (
            "limits the wrong way round",
            "/spec/limits",
            json!({"minStartupSeconds": 61, "maxStartupSeconds": 60}),
            "spec.limits",
            "limits.minStartupSeconds must not exceed limits.maxStartupSeconds: lower the first or raise the second",
        ),
        (
            "a lower limit above the default upper one",
            "/spec/limits",
            json!({"minStartupSeconds": 1801}),
            "spec.limits",
            "limits.minStartupSeconds must not exceed limits.maxStartupSeconds: lower the first or raise the second",
        ),
    ]
}
