//! Arbitrary specs by the API's own types, targets, and what happens to them.

use probepilot_api::{
    Apply, Behavior, CountSelector, GuardProbe, Limits, Linear, LowerBehavior, LowerPolicy, Mode,
    Point, ProbePolicySpec, ProbeTimings, RaiseBehavior, RaisePolicy, ScalingRule, Step,
    TargetKind,
};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::testing::{CONTAINER, probe_json, spec, workload};

/// Counts as clusters have them, rungs included.
pub fn count() -> impl Strategy<Value = i64> {
    prop_oneof![0..200_i64, 0..30_000_i64, Just(0), Just(1_000_000)]
}

/// Liveness timings within the schema's bounds; at least one is given.
pub fn timings() -> impl Strategy<Value = ProbeTimings> {
    let fields = (
        option::of(0..600),
        option::of(1..60),
        option::of(1..60),
        option::of(1..60),
    );
    let given = fields.prop_map(|(delay, period, timeout, threshold)| ProbeTimings {
        initial_delay_seconds: delay,
        period_seconds: period,
        timeout_seconds: timeout,
        failure_threshold: threshold,
    });
    given.prop_filter("sets a timing", |timings| {
        *timings != ProbeTimings::default()
    })
}

fn step(liveness: bool) -> BoxedStrategy<Step> {
    let seconds = prop_oneof![1..150, 1..3000].prop_map(Some);
    if !liveness {
        return seconds
            .prop_map(|startup_seconds| Step {
                startup_seconds,
                ..Step::default()
            })
            .boxed();
    }
    prop_oneof![
        seconds.clone().prop_map(|seconds| (seconds, None)),
        timings().prop_map(|timings| (None, Some(timings))),
        (seconds, timings().prop_map(Some)),
    ]
    .prop_map(|(startup_seconds, liveness_probe)| Step {
        at_least: 0,
        startup_seconds,
        liveness_probe,
    })
    .boxed()
}

/// A ladder; with or without liveness timings on its rungs.
pub fn ladder(liveness: bool) -> impl Strategy<Value = ScalingRule> {
    let rungs = btree_set(0..30_000_i64, 1..6).prop_flat_map(move |counts| {
        let size = counts.len();
        (Just(counts), vec(step(liveness), size))
    });
    rungs.prop_map(|(counts, steps)| {
        let steps = counts.into_iter().zip(steps);
        ScalingRule {
            steps: Some(
                steps
                    .map(|(at_least, step)| Step { at_least, ..step })
                    .collect(),
            ),
            ..ScalingRule::default()
        }
    })
}

fn curve() -> impl Strategy<Value = ScalingRule> {
    let points = btree_set(0..30_000_i64, 2..6).prop_flat_map(|counts| {
        let size = counts.len();
        (Just(counts), vec(1..3000, size))
    });
    points.prop_map(|(counts, seconds)| ScalingRule {
        interpolate: Some(
            counts
                .into_iter()
                .zip(seconds)
                .map(|(count, startup_seconds)| Point {
                    count,
                    startup_seconds,
                })
                .collect(),
        ),
        ..ScalingRule::default()
    })
}

fn line() -> impl Strategy<Value = ScalingRule> {
    (0..500, 1..200).prop_map(|(base_seconds, seconds_per_thousand)| ScalingRule {
        linear: Some(Linear {
            base_seconds,
            seconds_per_thousand,
        }),
        ..ScalingRule::default()
    })
}

fn rule() -> impl Strategy<Value = ScalingRule> {
    let resource = select(vec!["pods", "services"]);
    (
        prop_oneof![2 => ladder(true), 1 => curve(), 1 => line()],
        resource,
    )
        .prop_map(|(rule, resource)| ScalingRule {
            count: CountSelector {
                resource: resource.to_owned(),
                ..CountSelector::default()
            },
            ..rule
        })
}

pub fn limits() -> impl Strategy<Value = Limits> {
    (prop_oneof![1..200, 1..2500], 0..3000).prop_map(|(min, more)| Limits {
        min_startup_seconds: min,
        max_startup_seconds: min + more,
    })
}

pub fn guard() -> impl Strategy<Value = GuardProbe> {
    select(vec![GuardProbe::Startup, GuardProbe::Liveness])
}

fn behavior() -> impl Strategy<Value = Behavior> {
    let policy = select(vec![
        RaisePolicy::Safe,
        RaisePolicy::Always,
        RaisePolicy::OnKill,
    ]);
    let raise = (
        policy,
        prop_oneof![Just(0), 0..1000],
        prop_oneof![Just(0), 0..1000],
    );
    let lower = (any::<bool>(), 0..=100, prop_oneof![Just(0), 0..5000]);
    (raise, lower).prop_map(
        |((policy, window, interval), (enabled, tolerance, lower_window))| Behavior {
            raise: RaiseBehavior {
                policy,
                stabilization_window_seconds: window,
                min_interval_seconds: interval,
            },
            lower: LowerBehavior {
                policy: if enabled {
                    LowerPolicy::Enabled
                } else {
                    LowerPolicy::Disabled
                },
                tolerance_percent: tolerance,
                stabilization_window_seconds: lower_window,
            },
        },
    )
}

/// Every spec that the API server accepts, for the test container.
pub fn valid_spec() -> impl Strategy<Value = ProbePolicySpec> {
    let mode = prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Observe)];
    let parts = (
        vec(rule(), 0..4),
        limits(),
        guard(),
        behavior(),
        mode,
        any::<bool>(),
    );
    parts.prop_map(
        |(rules, limits, probe, behavior, mode, named)| ProbePolicySpec {
            container_name: named.then(|| CONTAINER.to_owned()),
            mode,
            rules,
            limits,
            apply: Apply {
                probe,
                ..Apply::default()
            },
            behavior,
            // Kills are part of the history of a target; raises.rs has their properties.
            ..spec(json!({"crashLoop": {"enabled": false}}))
        },
    )
}

/// A spec as no API server would accept it, but as a file given to the command line may have it.
#[expect(clippy::too_many_lines, reason = "one strategy a field")]
pub fn absurd_spec() -> impl Strategy<Value = ProbePolicySpec> {
    let field = || {
        prop_oneof![
            Just(i32::MIN),
            Just(-1),
            Just(0),
            Just(1),
            Just(i32::MAX),
            any::<i32>()
        ]
    };
    let wide = || {
        prop_oneof![
            Just(i64::MIN),
            Just(-1),
            Just(0),
            Just(1),
            Just(i64::MAX),
            any::<i64>()
        ]
    };
    let timings = (
        option::of(field()),
        option::of(field()),
        option::of(field()),
        option::of(field()),
    )
        .prop_map(|(d, p, t, f)| ProbeTimings {
            initial_delay_seconds: d,
            period_seconds: p,
            timeout_seconds: t,
            failure_threshold: f,
        });
    let step = (wide(), option::of(field()), option::of(timings)).prop_map(
        |(at_least, startup_seconds, liveness_probe)| Step {
            at_least,
            startup_seconds,
            liveness_probe,
        },
    );
    let point = (wide(), field()).prop_map(|(count, startup_seconds)| Point {
        count,
        startup_seconds,
    });
    let line = (field(), field()).prop_map(|(base_seconds, seconds_per_thousand)| Linear {
        base_seconds,
        seconds_per_thousand,
    });
    let sorted = |mut steps: Vec<Step>| {
        steps.sort_by_key(|step| step.at_least);
        steps.dedup_by_key(|step| step.at_least);
        steps
    };
    let sorted_points = |mut points: Vec<Point>| {
        points.sort_by_key(|point| point.count);
        points.dedup_by_key(|point| point.count);
        points
    };
    let rule = prop_oneof![
        vec(step, 0..4).prop_map(move |steps| ScalingRule {
            steps: Some(sorted(steps)),
            ..ScalingRule::default()
        }),
        vec(point, 0..4).prop_map(move |points| ScalingRule {
            interpolate: Some(sorted_points(points)),
            ..ScalingRule::default()
        }),
        line.prop_map(|line| ScalingRule {
            linear: Some(line),
            ..ScalingRule::default()
        }),
    ];
    let rule =
        (rule, select(vec!["pods", "", "services"])).prop_map(|(rule, resource)| ScalingRule {
            count: CountSelector {
                resource: resource.to_owned(),
                ..CountSelector::default()
            },
            ..rule
        });
    let numbers = [
        field(),
        field(),
        field(),
        field(),
        field(),
        field(),
        field(),
    ];
    (
        valid_spec(),
        vec(rule, 0..4),
        numbers,
        option::of(select(vec!["", CONTAINER])),
    )
        .prop_map(|(valid, rules, n, container)| ProbePolicySpec {
            rules,
            container_name: container.map(str::to_owned),
            limits: Limits {
                min_startup_seconds: n[0].min(n[1]),
                max_startup_seconds: n[0].max(n[1]),
            },
            behavior: Behavior {
                raise: RaiseBehavior {
                    stabilization_window_seconds: n[2],
                    min_interval_seconds: n[3],
                    ..valid.behavior.raise
                },
                lower: LowerBehavior {
                    tolerance_percent: n[4],
                    stabilization_window_seconds: n[5],
                    ..valid.behavior.lower
                },
            },
            ..valid
        })
}

fn handler() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"httpGet": {"path": "/healthz", "port": 61779, "scheme": "HTTP"}}),
        json!({"exec": {"command": ["true"]}}),
        json!({"tcpSocket": {"port": 1}}),
        json!({"grpc": {"port": 9000, "service": ""}, "later": [1]}),
    ])
}

/// A probe of an owner; `wild` ones have timings from the whole range of the API.
fn probe(wild: bool) -> BoxedStrategy<Value> {
    let probe =
        |(handler, d, p, t, f): (Value, u32, u32, u32, u32)| probe_json(handler, d, p, t, f);
    if wild {
        let field = || {
            prop_oneof![
                Just(0),
                Just(1),
                Just(i32::MAX.unsigned_abs()),
                0..i32::MAX.unsigned_abs()
            ]
        };
        (handler(), field(), field(), field(), field())
            .prop_map(probe)
            .boxed()
    } else {
        (handler(), 0..200_u32, 1..40_u32, 1..40_u32, 1..12_u32)
            .prop_map(probe)
            .boxed()
    }
}

/// Owner's liveness probe, and perhaps a startup probe.
pub fn probes(wild: bool) -> impl Strategy<Value = Value> {
    let startup = option::weighted(0.3, probe(wild));
    (option::weighted(0.9, probe(wild)), startup).prop_map(|(liveness, startup)| {
        let mut probes = json!({});
        for (key, probe) in [("livenessProbe", liveness), ("startupProbe", startup)] {
            if let Some(probe) = probe {
                probes[key] = probe;
            }
        }
        probes
    })
}

/// A settled target of any kind, strategy and owner.
pub fn target(wild: bool) -> impl Strategy<Value = (TargetKind, Value)> {
    let kind = select(vec![
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ]);
    let manager = select(vec![
        ("helm", "Update"),
        ("kubectl", "Apply"),
        ("kubectl-edit", "Update"),
        ("operator", "Update"),
    ]);
    let strategy = select(vec![
        json!({}),
        json!({"type": "Recreate"}),
        json!({"type": "OnDelete"}),
        json!({"rollingUpdate": {"maxSurge": 0}}),
    ]);
    (kind, manager, probes(wild), strategy).prop_map(|(kind, manager, probes, strategy)| {
        let mut object = workload(kind, manager, &probes);
        let key = if kind == TargetKind::Deployment {
            "strategy"
        } else {
            "updateStrategy"
        };
        object["spec"][key] = strategy;
        (kind, object)
    })
}
