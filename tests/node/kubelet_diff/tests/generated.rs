//! What is generated: enough of each class, and predictions that agree with the closed forms.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use probepilot_kubelet::{Answer, Failing, Handler, KillWindow, ProbeKind};
use probepilot_test_kubelet_diff::Config;
use probepilot_test_kubelet_diff::class::{Class, classes};
use probepilot_test_kubelet_diff::generate::{SEED, generate};
use probepilot_test_kubelet_diff::predict::{End, Past, Prediction, predict};

/// The configurations of the seed that runs by default, predicted once for all tests.
fn generated() -> &'static [(Config, Prediction)] {
    static GENERATED: OnceLock<Vec<(Config, Prediction)>> = OnceLock::new();
    GENERATED.get_or_init(|| {
        let configs = generate(SEED).into_iter();
        configs
            .map(|config| (config.clone(), predict(&config)))
            .collect()
    })
}

fn counts(of: impl Fn(&Config) -> bool) -> BTreeMap<Class, usize> {
    let mut counts: BTreeMap<Class, usize> = Class::ALL.iter().map(|class| (*class, 0)).collect();
    for (config, prediction) in generated().iter().filter(|(config, _)| of(config)) {
        for class in classes(config, prediction) {
            *counts.get_mut(&class).expect("ALL has all classes") += 1;
        }
    }
    counts
}

#[test]
fn a_full_run_has_at_least_sixty_configurations_and_each_class() {
    assert!(generated().len() >= 60, "{}", generated().len());
    let counts = counts(|_| true);
    println!("{counts:?}");
    for (class, count) in &counts {
        // One pod of six kills takes minutes.
        let wanted = if *class == Class::SixKills { 1 } else { 2 };
        assert!(*count >= wanted, "{class:?}: {count}");
    }
}

#[test]
fn every_run_has_at_least_twelve_configurations_and_the_classes_that_are_quick() {
    let counts = counts(|config| config.every_run);
    println!("{counts:?}");
    let quick = generated().iter().filter(|(config, _)| config.every_run);
    assert!(quick.count() >= 12);
    for (class, count) in counts {
        let slow_or_rare = matches!(class, Class::SixKills | Class::PreStop | Class::MayBeKilled);
        assert!(count > 0 || slow_or_rare, "{class:?}");
    }
}

#[test]
fn names_are_unique_and_another_seed_draws_other_numbers() {
    let names: BTreeSet<&str> = generated()
        .iter()
        .map(|(config, _)| config.name.as_str())
        .collect();
    assert_eq!(names.len(), generated().len());
    let again: Vec<Config> = generated()
        .iter()
        .map(|(config, _)| config.clone())
        .collect();
    assert_eq!(generate(SEED), again);
    assert_ne!(generate(SEED + 1), again);
}

#[test]
fn a_first_life_that_is_never_well_is_killed_in_the_closed_forms_window() {
    let mut compared = 0;
    for (config, prediction) in generated() {
        let Some((kind, probe)) = config.container.start_guard() else {
            continue;
        };
        let [only] = config.life.answers.as_slice() else {
            continue;
        };
        let failing = match (only.answer, probe.handler) {
            (Answer::Refused, Handler::Grpc)
            | (Answer::Hang, Handler::Grpc | Handler::Http | Handler::Exec) => {
                Failing::AfterTimeout
            }
            (Answer::Refused | Answer::Status(_), _) => Failing::AtOnce,
            _ => continue,
        };
        if config.life.exit.is_some() {
            continue;
        }
        let closed = KillWindow::never_healthy(&probe.timings, failing);
        let fate = prediction.fate(&Past::default()).expect("a first life");
        assert!(!fate.may_go_on, "{}", config.name);
        let killed = fate.endings[&End::Killed(kind)].killed.expect("a kill");
        assert_eq!(killed.earliest_ms, closed.earliest_ms, "{}", config.name);
        // The closed form knows no lag: a tick that comes between `D` and the first news of the container is lost.
        let lag_ms =
            (1000_u64 + 999).saturating_sub(u64::from(probe.timings.initial_delay_seconds) * 1000);
        let latest_ms = killed.latest_ms + 1;
        assert!(
            (closed.latest_ms..=closed.latest_ms + lag_ms).contains(&latest_ms),
            "{}: {latest_ms} {closed:?}",
            config.name
        );
        assert!(matches!(kind, ProbeKind::Startup | ProbeKind::Liveness));
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}
